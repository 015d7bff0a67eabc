package cache

import (
	"sync"
	"sync/atomic"
)

// index knows every file of the disk tier and its size, and which to evict. It
// does not decide what is stored: the file system does, so a file the index has
// not seen yet is served all the same.
//
// Eviction is SIEVE by bytes: entries stand in the order they came, a hit sets
// one bit, and a hand walking from the oldest clears set bits and evicts the
// first entry without one. A response asked for once leaves before one asked
// for twice, whatever a scan brings in between.
type index struct {
	used   atomic.Int64 // bytes of all entries
	count  atomic.Int64
	cursor atomic.Uint32 // the shard to evict from next
	shards [64]sieve
}

// sieve is one shard. Entries live in a slice and link by position, and the map
// holds no pointers: a million entries cost the garbage collector nothing.
type sieve struct {
	mu      sync.Mutex
	at      map[Sum]int32
	entries []entry
	free    int32 // head of the free list, linked by next; 0 is none
	hand    int32 // where the walk goes on; 0 is the oldest
}

// entry 0 is the list's sentinel: next is the newest, prev the oldest.
type entry struct {
	sum        Sum
	size       int64
	changed    int64 // the file's change time when its bytes were last found right
	prev, next int32
	visited    bool
}

func newIndex() *index {
	x := &index{}
	for i := range x.shards {
		x.shards[i].at = make(map[Sum]int32)
		x.shards[i].entries = make([]entry, 1)
	}
	return x
}

func (x *index) shard(s Sum) *sieve { return &x.shards[s[0]%64] }

// put records a file and its size in bytes, replacing what was recorded.
func (x *index) put(sum Sum, size int64) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[sum]; ok {
		x.used.Add(size - s.entries[i].size)
		s.entries[i].size = size
		s.entries[i].changed = 0
		return
	}
	i := s.free
	if i != 0 {
		s.free = s.entries[i].next
	} else {
		i = int32(len(s.entries))
		s.entries = append(s.entries, entry{})
	}
	newest := s.entries[0].next
	s.entries[i] = entry{sum: sum, size: size, next: newest}
	s.entries[newest].prev = i
	s.entries[0].next = i
	s.at[sum] = i
	x.used.Add(size)
	x.count.Add(1)
}

// known records a file that was found on disk, unless it is recorded already.
func (x *index) known(sum Sum, size int64) {
	if !x.touch(sum) {
		x.put(sum, size)
	}
}

// touch marks a hit; it reports whether the file is recorded.
func (x *index) touch(sum Sum) bool {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.at[sum]
	if ok {
		s.entries[i].visited = true
	}
	return ok
}

// remove forgets a file.
func (x *index) remove(sum Sum) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[sum]; ok {
		x.unlink(s, i)
	}
}

// unlink needs s.mu.
func (x *index) unlink(s *sieve, i int32) {
	e := &s.entries[i]
	if s.hand == i {
		s.hand = e.prev
	}
	s.entries[e.prev].next = e.next
	s.entries[e.next].prev = e.prev
	delete(s.at, e.sum)
	x.used.Add(-e.size)
	x.count.Add(-1)
	*e = entry{next: s.free}
	s.free = i
}

// evict takes out the entry whose turn it is, from the shards in turn. ok is
// false when there is none.
func (x *index) evict() (sum Sum, size int64, ok bool) {
	for range x.shards {
		s := &x.shards[x.cursor.Add(1)%64]
		if sum, size, ok = x.evictFrom(s); ok {
			return sum, size, true
		}
	}
	return Sum{}, 0, false
}

func (x *index) evictFrom(s *sieve) (Sum, int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.at) == 0 {
		return Sum{}, 0, false
	}
	i := s.hand
	for {
		if i == 0 {
			i = s.entries[0].prev
		}
		e := &s.entries[i]
		if !e.visited {
			sum, size := e.sum, e.size
			s.hand = i
			x.unlink(s, i)
			return sum, size, true
		}
		e.visited = false
		i = e.prev
	}
}
