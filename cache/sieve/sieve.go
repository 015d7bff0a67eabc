package sieve

import (
	"sync"
	"sync/atomic"
)

// Set knows every file of the disk tier and its size, and which to evict. It
// does not decide what is stored: the file system does, so a file the index has
// not seen yet is served all the same.
//
// Eviction is SIEVE by bytes: entries stand in the order they came, a hit gives
// an entry credit, and a hand walking from the oldest takes credit and evicts the
// first entry without any. A response asked for once leaves before one asked
// for twice, whatever a scan brings in between. Credit is one bit for a file;
// metadata gets more, and some to begin with. As long as metadata is no more than
// a quarter of all bytes, the hand passes it by: it outlives the files it names.
//
// A file is recorded when it is committed, discovered where an earlier edge left
// it, and restored when it could not be evicted. All three need its turn (see
// disk.turns), so that the file does not come or go meanwhile. What needs none
// changes what is known of a recorded file, or takes it out.
type Set struct {
	Used     atomic.Int64 // bytes of all entries
	Metadata atomic.Int64 // of those, of metadata
	Count    atomic.Int64
	Leaving  atomic.Int64 // bytes of evicted files that are not removed yet

	// Unseen begins as what an earlier edge's files may take, and discover takes off
	// each of them that it records. Until the scan is over, it is no less than what
	// the others take; then it means nothing, and is 0 or less.
	Unseen atomic.Int64
	found  atomic.Int64  // how many were discovered
	cursor atomic.Uint32 // the shard to evict from next
	shards [64]shard
}

// shard is one shard. Entries live in a slice and link by position, and the map
// holds no pointers: a million entries cost the garbage collector nothing.
type shard struct {
	// epoch grows when an entry loses credit or a new one is made. It changes under mu, and
	// Touch reads it without. The padding keeps it off the line that mu writes.
	epoch atomic.Uint64
	_     [56]byte

	mu      sync.Mutex
	at      map[[16]byte]int32
	entries []entry
	files   int   // entries that are not metadata
	free    int32 // head of the free list, linked by next; 0 is none
	hand    int32 // where the walk goes on; 0 is the oldest

	leaving map[[16]byte]int64 // bytes of the evicted files that are not removed yet: one for each who evicts
}

// The visits that a hit leaves an entry with: how many rounds of the hand it outlasts.
// Metadata is small, names the files, and is priceless in an outage of the masters.
const (
	FileVisits     uint8 = 1
	MetadataVisits uint8 = 2
)

// entry 0 is the list's sentinel: next is the newest, prev the oldest.
type entry struct {
	sum        [16]byte
	size       int64
	changed    int64 // the file's change time when its bytes were last found right
	prev, next int32
	credit     uint8 // how many rounds of the hand it outlasts
	worth      uint8 // its credit after a hit
}

func New() *Set {
	x := &Set{}
	for i := range x.shards {
		x.shards[i].at, x.shards[i].leaving = make(map[[16]byte]int32), make(map[[16]byte]int64)
		x.shards[i].entries = make([]entry, 1)
		x.shards[i].epoch.Store(1)
	}
	return x
}

func (x *Set) shard(s [16]byte) *shard { return &x.shards[s[0]%64] }

// Commit records a file that was just given its name, its size in bytes and what
// it is worth, replacing what was recorded. Its turn is held.
func (x *Set) Commit(sum [16]byte, size int64, worth uint8) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[sum]; ok {
		e := &s.entries[i]
		x.tally(s, e, -1)
		e.size, e.worth, e.changed = size, worth, 0
		x.tally(s, e, 1)
		return
	}
	x.insert(s, sum, size, worth)
}

// Discover records a file that is there, unless it is recorded already. Nothing
// else takes anything off what is unseen. One that is on its way out was recorded
// before, and stays. Its turn is held.
func (x *Set) Discover(sum [16]byte, size int64, worth uint8) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.at[sum]; ok {
		return
	}
	if _, ok := s.leaving[sum]; ok {
		x.leave(s, sum, s.leaving[sum])
	} else {
		x.Unseen.Add(-size)
		x.found.Add(1)
	}
	x.insert(s, sum, size, worth)
}

// Restore records a file again that was evicted and could not be removed. Its turn
// is held.
func (x *Set) Restore(sum [16]byte, size int64) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	x.leave(s, sum, size)
	if _, ok := s.at[sum]; !ok {
		x.insert(s, sum, size, FileVisits)
	}
}

// Left says that an evicted file is not leaving any more: it has gone, or has been
// recorded again. Its turn is held.
func (x *Set) Left(sum [16]byte, size int64) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	x.leave(s, sum, size)
}

// leave takes size bytes off what is leaving, where there are any. s.mu is held.
func (x *Set) leave(s *shard, sum [16]byte, size int64) {
	size = min(size, s.leaving[sum])
	x.Leaving.Add(-size)
	if s.leaving[sum] -= size; s.leaving[sum] == 0 {
		delete(s.leaving, sum)
	}
}

// Resize changes the size of a recorded file. Its turn is held.
func (x *Set) Resize(sum [16]byte, size int64) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[sum]; ok {
		e := &s.entries[i]
		x.tally(s, e, -1)
		e.size = size
		x.tally(s, e, 1)
	}
}

// tally counts an entry n times, 1 or -1. s.mu is held.
func (x *Set) tally(s *shard, e *entry, n int64) {
	x.Count.Add(n)
	x.Used.Add(n * e.size)
	if e.worth == MetadataVisits {
		x.Metadata.Add(n * e.size)
	} else {
		s.files += int(n)
	}
}

// Unrecorded is what the files may take that are not recorded, in bytes.
func (x *Set) Unrecorded() int64 { return max(0, x.Unseen.Load()) }

// Files is how many more or fewer files there are than at the start.
func (x *Set) Files() int64 { return x.Count.Load() - x.found.Load() }

// insert makes an entry, where there is none. s.mu is held.
func (x *Set) insert(s *shard, sum [16]byte, size int64, worth uint8) {
	i := s.free
	if i != 0 {
		s.free = s.entries[i].next
	} else {
		i = int32(len(s.entries))
		s.entries = append(s.entries, entry{})
	}
	newest := s.entries[0].next
	s.entries[i] = entry{sum: sum, size: size, next: newest, worth: worth, credit: worth - 1}
	s.entries[newest].prev = i
	s.entries[0].next = i
	s.at[sum] = i
	s.epoch.Add(1)
	x.tally(s, &s.entries[i], 1)
}

// Hit marks a hit on a file found on disk. known says that it is recorded, and
// vouched that its bytes are vouched for as of that change time.
func (x *Set) Hit(sum [16]byte, worth uint8, changed int64) (vouched, known bool) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.at[sum]
	if !ok {
		return false, false
	}
	e := &s.entries[i]
	if e.credit = worth; e.worth != worth { // the scan took it for another
		x.tally(s, e, -1)
		e.worth = worth
		x.tally(s, e, 1)
	}
	return changed != 0 && e.changed == changed, true
}

// Visit is the last time that an entry was touched through it. It belongs to a copy of the
// file that answers in the file's place. The zero Visit has touched nothing.
type Visit struct{ epoch atomic.Uint64 }

// Touch marks a hit, wherever it was answered from. A hit after which the entry has all its
// credit still, because no entry of its shard has lost any since the last Touch through v,
// takes no lock and writes nothing.
func (x *Set) Touch(sum [16]byte, v *Visit) {
	s := x.shard(sum)
	if v.epoch.Load() == s.epoch.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[sum]; ok {
		s.entries[i].credit = s.entries[i].worth
	}
	v.epoch.Store(s.epoch.Load())
}

// Has says whether a file is recorded.
func (x *Set) Has(sum [16]byte) bool {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.at[sum]
	return ok
}

// Vouched says whether the file's bytes have been checked since it was changed
// last.
func (x *Set) Vouched(sum [16]byte, changed int64) bool {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.at[sum]
	return ok && changed != 0 && s.entries[i].changed == changed
}

// Vouch records that the bytes of the file, as of that change time, are right.
func (x *Set) Vouch(sum [16]byte, changed int64) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[sum]; ok {
		s.entries[i].changed = changed
	}
}

// Remove forgets a file that has gone. Its turn is held.
func (x *Set) Remove(sum [16]byte) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[sum]; ok {
		x.unlink(s, i)
	}
}

// unlink takes an entry out. s.mu is held.
func (x *Set) unlink(s *shard, i int32) {
	e := &s.entries[i]
	if s.hand == i {
		s.hand = e.prev
	}
	s.entries[e.prev].next = e.next
	s.entries[e.next].prev = e.prev
	delete(s.at, e.sum)
	x.tally(s, e, -1)
	*e = entry{next: s.free}
	s.free = i
}

// Evict takes out the entry that is next, from one shard after the other. No turn
// is held. It is leaving until left or restore is called; ok is false when there is
// none.
func (x *Set) Evict() (sum [16]byte, size int64, ok bool) {
	spared := 4*x.Metadata.Load() <= x.Used.Load()
	for range x.shards {
		s := &x.shards[x.cursor.Add(1)%64]
		if sum, size, ok = x.evictFrom(s, spared); ok {
			return sum, size, true
		}
	}
	return [16]byte{}, 0, false
}

// evictFrom takes an entry out of a shard; where metadata is spared, a file.
func (x *Set) evictFrom(s *shard, spared bool) ([16]byte, int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.at) == 0 || spared && s.files == 0 {
		return [16]byte{}, 0, false
	}
	i := s.hand
	for {
		if i == 0 {
			i = s.entries[0].prev
		}
		e := &s.entries[i]
		if spared && e.worth == MetadataVisits {
			i = e.prev
			continue
		}
		if e.credit == 0 {
			sum, size := e.sum, e.size
			x.Leaving.Add(size)
			s.leaving[sum] += size
			s.hand = i
			x.unlink(s, i)
			return sum, size, true
		}
		e.credit--
		s.epoch.Add(1)
		i = e.prev
	}
}
