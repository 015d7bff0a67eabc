package sieve

import (
	"sync"
	"sync/atomic"
)

// Set has every file of the disk tier with its size, and chooses the one to evict. The file
// system decides which responses are stored: a file that is not in the set yet is served.
//
// Eviction is SIEVE by bytes: entries stand in the order of insertion, a hit sets an entry's
// visits, and a hand walking from the oldest takes one visit and evicts the first entry
// without any. So a response requested once leaves before one requested twice, also when a
// scan inserts others in between. A file has at most one visit. Metadata has more, and starts
// with one. While metadata is at most a quarter of all bytes, the hand passes it by: it
// outlives the files it names.
//
// Commit records a file, Discover one of the previous process, and Restore one that could not
// be removed. Methods that need the file's key lock (see disk.Store.KeyLock) say so: the lock
// keeps the file from coming or going meanwhile.
type Set struct {
	Used     atomic.Int64 // bytes of all entries
	Metadata atomic.Int64 // of those, bytes of metadata
	Count    atomic.Int64
	Leaving  atomic.Int64 // bytes of evicted files that are not removed yet

	// Unseen starts as an upper bound of the bytes of the previous process. Discover
	// subtracts each file that it records. Until the scan ends, it is an upper bound of
	// the other files' bytes; afterwards it is 0 or less.
	Unseen atomic.Int64
	found  atomic.Int64  // files that Discover recorded
	cursor atomic.Uint32 // the shard to evict from next
	shards [64]shard
}

// shard is one shard. Entries live in a slice and link by position, and the map
// holds no pointers: a million entries cost the garbage collector nothing.
type shard struct {
	// epoch grows when an entry loses a visit or a new one is made. It changes under mu, and
	// Touch reads it without. The padding keeps it off the line that mu writes.
	epoch atomic.Uint64
	_     [56]byte

	mu      sync.Mutex
	at      map[[16]byte]int32
	entries []entry
	files   int   // entries that are not metadata
	free    int32 // head of the free list, linked by next; 0 is none
	hand    int32 // the entry at which the walk goes on; 0 is the oldest

	leaving map[[16]byte]int64 // bytes of the evicted files that are not removed yet
}

// The visits of an entry after a hit: the number of passes of the hand it outlasts.
// Metadata is small, names the files, and is priceless in an outage of the masters.
const (
	FileVisits     uint8 = 1
	MetadataVisits uint8 = 2
)

// entry 0 is the list's sentinel: next is the newest, prev the oldest.
type entry struct {
	sum        [16]byte
	size       int64
	changed    int64 // the file's change time when its bytes were last verified
	prev, next int32
	visits     uint8 // passes of the hand that it outlasts
	fullVisits uint8 // its visits after a hit
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

// Commit records a committed file with its size in bytes and its visits after a hit, in place
// of the file before. The key lock is held.
func (x *Set) Commit(sum [16]byte, size int64, fullVisits uint8) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[sum]; ok {
		e := &s.entries[i]
		x.tally(s, e, -1)
		e.size, e.fullVisits, e.changed = size, fullVisits, 0
		x.tally(s, e, 1)
		return
	}
	x.insert(s, sum, size, fullVisits)
}

// Discover records an existing file, unless it is recorded already, and subtracts it from
// Unseen. It does nothing for a file that is leaving, which was recorded before. The key lock
// is held.
func (x *Set) Discover(sum [16]byte, size int64, fullVisits uint8) {
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
	x.insert(s, sum, size, fullVisits)
}

// Restore records an evicted file again that could not be removed. The key lock is held.
func (x *Set) Restore(sum [16]byte, size int64) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	x.leave(s, sum, size)
	if _, ok := s.at[sum]; !ok {
		x.insert(s, sum, size, FileVisits)
	}
}

// Left ends the leaving of an evicted file: it is gone, or recorded again. The key lock is
// held.
func (x *Set) Left(sum [16]byte, size int64) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	x.leave(s, sum, size)
}

// leave subtracts size bytes of a leaving file, if there is one. s.mu is held.
func (x *Set) leave(s *shard, sum [16]byte, size int64) {
	size = min(size, s.leaving[sum])
	x.Leaving.Add(-size)
	if s.leaving[sum] -= size; s.leaving[sum] == 0 {
		delete(s.leaving, sum)
	}
}

// Resize changes the size of a recorded file. The key lock is held.
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
	if e.fullVisits == MetadataVisits {
		x.Metadata.Add(n * e.size)
	} else {
		s.files += int(n)
	}
}

// Unrecorded is an upper bound of the bytes of files that are not recorded.
func (x *Set) Unrecorded() int64 { return max(0, x.Unseen.Load()) }

// Files is the change of the number of files since the start.
func (x *Set) Files() int64 { return x.Count.Load() - x.found.Load() }

// insert makes an entry for a sum without one. s.mu is held.
func (x *Set) insert(s *shard, sum [16]byte, size int64, fullVisits uint8) {
	i := s.free
	if i != 0 {
		s.free = s.entries[i].next
	} else {
		i = int32(len(s.entries))
		s.entries = append(s.entries, entry{})
	}
	newest := s.entries[0].next
	s.entries[i] = entry{sum: sum, size: size, next: newest, fullVisits: fullVisits, visits: fullVisits - 1}
	s.entries[newest].prev = i
	s.entries[0].next = i
	s.at[sum] = i
	s.epoch.Add(1)
	x.tally(s, &s.entries[i], 1)
}

// Hit marks a hit on a file found on disk. It reports whether the file is recorded, and
// whether its bytes were verified as of that change time.
func (x *Set) Hit(sum [16]byte, fullVisits uint8, changed int64) (verified, known bool) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.at[sum]
	if !ok {
		return false, false
	}
	e := &s.entries[i]
	if e.visits = fullVisits; e.fullVisits != fullVisits { // the scan took metadata for a file, or a file for metadata
		x.tally(s, e, -1)
		e.fullVisits = fullVisits
		x.tally(s, e, 1)
	}
	return changed != 0 && e.changed == changed, true
}

// Visit is the last time that an entry was touched through it. It belongs to a copy of the
// file that answers in the file's place. The zero Visit has touched nothing.
type Visit struct{ epoch atomic.Uint64 }

// Touch marks a hit that any tier answered. It takes no lock and writes nothing while the
// entry has all its visits: no entry of its shard has lost any since the last Touch through v.
func (x *Set) Touch(sum [16]byte, v *Visit) {
	s := x.shard(sum)
	if v.epoch.Load() == s.epoch.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[sum]; ok {
		s.entries[i].visits = s.entries[i].fullVisits
	}
	v.epoch.Store(s.epoch.Load())
}

// Has reports whether a file is recorded.
func (x *Set) Has(sum [16]byte) bool {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.at[sum]
	return ok
}

// Verified reports whether the file's bytes were checked since its last change.
func (x *Set) Verified(sum [16]byte, changed int64) bool {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.at[sum]
	return ok && changed != 0 && s.entries[i].changed == changed
}

// SetVerified records that the bytes of the file, as of that change time, are right.
func (x *Set) SetVerified(sum [16]byte, changed int64) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[sum]; ok {
		s.entries[i].changed = changed
	}
}

// Remove forgets a file that is gone. The key lock is held.
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

// Evict takes out the next entry, from one shard after the other. No key lock is held. The
// file is leaving until Left. ok is false for an empty set.
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

// evictFrom takes an entry out of a shard. With spared metadata that is a file.
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
		if spared && e.fullVisits == MetadataVisits {
			i = e.prev
			continue
		}
		if e.visits == 0 {
			sum, size := e.sum, e.size
			x.Leaving.Add(size)
			s.leaving[sum] += size
			s.hand = i
			x.unlink(s, i)
			return sum, size, true
		}
		e.visits--
		s.epoch.Add(1)
		i = e.prev
	}
}
