package memory

import (
	"bytes"
	"hash/maphash"
	"io"
	"maps"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"pkgedge/cache/budget"
	"pkgedge/cache/sieve"
	"pkgedge/cache/store"
)

// Store keeps small stored responses in ristretto.
//
// ristretto drops writes, reorders them, and can bring a deleted value back: tests of this
// package show all three. So it decides nothing here: its key
// is (sum, Meta.Version), under which exactly one immutable value can ever exist, and
// currents has the Version of the stored response. A value that ristretto does not have
// is a miss. A value of an older Version is never looked up.
type Store struct {
	values  *ristretto.Cache[uint64, *Resident]
	largest int64 // bytes of the largest response that fits
	shards  [64]currents
	front   front

	// Buffers counts the bytes in flight. Values in ristretto's queue are among them,
	// because ristretto does not count them.
	Buffers *budget.Buffers

	share         int64        // bytes for values, borrowed bytes and index overhead
	borrowed      atomic.Int64 // bytes
	indexOverhead func() int64 // bytes of the disk tier's index
}

// currents maps sums to the Version of the stored response, for the values set in ristretto.
// ristretto's evictions remove entries, which bounds it.
type currents struct {
	// generation grows with each change of a Version in versions. It changes under mu, and the
	// front reads it without. The padding keeps it off the line that mu writes.
	generation atomic.Uint64
	_          [56]byte

	mu sync.Mutex
	// changes counts puts and forgets. A copy from the disk is promoted only when
	// nothing changed since the look-up that missed: otherwise
	//
	//	reader: misses in memory, opens v1 on disk
	//	writer: commits v2, put; v2 is evicted from memory
	//	reader: puts v1 — and memory would answer with it
	changes  uint64
	versions map[store.Sum]uint64
	moving   map[store.Sum]int // copies between the tiers under way, see Contains
}

// Resident is a response in memory, and its own Body. It is immutable, so that a hit
// hands out the one Entry that it has.
type Resident struct {
	store.Entry
	Key      store.Key
	Sum      store.Sum
	Data     []byte
	OnlyHere bool // the disk has no copy with this Meta

	Visit sieve.Visit // of the copy on disk

	shard      *currents
	generation atomic.Uint64 // of the shard, when this was the current response; see front
}

func NewResident(k store.Key, sum store.Sum, m *store.Meta, data []byte, sole bool) *Resident {
	r := &Resident{Key: k, Sum: sum, Data: data, OnlyHere: sole}
	r.Entry = store.Entry{Meta: m, Body: r}
	return r
}

// ReadAt, Section, Bytes and Close make a resident a Body.
func (r *Resident) ReadAt(p []byte, off int64) (int, error) { return readAt(r.Data, p, off) }

func (r *Resident) Section(off, n int64) (io.Reader, error) {
	return bytes.NewReader(r.Data[off : off+n]), nil
}

func (r *Resident) Bytes() ([]byte, bool) { return r.Data, true }

func (r *Resident) Close() error { return nil }

// readAt reads data as an io.ReaderAt does.
func readAt(data, p []byte, off int64) (n int, err error) {
	if off < int64(len(data)) {
		n = copy(p, data[off:])
	}
	if n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Current reports whether a look-up would find r. It is false also where only a look-up
// can tell, see front.
func (r *Resident) Current() bool {
	return r.shard != nil && r.generation.Load() == r.shard.generation.Load()
}

// cost is a resident's size in memory, to which ristretto adds 56 bytes.
func (r *Resident) cost() int64 { return int64(cap(r.Data)) + r.Overhead() }

// Alloc makes a body's bytes with the capacity of the allocator's size class, so that cap
// is their size in memory.
func Alloc(size int64) []byte { return slices.Grow([]byte(nil), int(size))[:size] }

const (
	// queuing is the memory, in bytes, of a fill that waits for ristretto.
	queuing = 16 << 10
)

// meanObject is the size the counters are planned for: registries' small
// objects are packument variants and small tarballs.
const meanObject = 16 << 10

// New makes a tier with its shares of the memory budget. indexOverhead is the size of the disk
// tier's index, which comes out of them; nil is for an edge without that tier.
func New(s budget.Shares, indexOverhead func() int64) (*Store, error) {
	if indexOverhead == nil {
		indexOverhead = func() int64 { return 0 }
	}
	m := &Store{
		largest:       max(s.Tier/64, 64<<10), // about a hundredth of the budget
		Buffers:       budget.NewBuffers(s.InFlight),
		indexOverhead: indexOverhead,
	}
	for i := range m.shards {
		m.shards[i].versions, m.shards[i].moving = make(map[store.Sum]uint64), make(map[store.Sum]int)
	}
	// About 30 counters for each object that fits: the sketch's four rows
	// carry the information of one.
	counters := max(30*s.Tier/meanObject, 10_000)
	m.front = newFront(s.Tier / meanObject)
	m.share = max(s.Tier-5*counters-m.front.size(), budget.MinTier)
	drop := func(item *ristretto.Item[*Resident]) {
		if r := item.Value; r != nil {
			m.shard(r.Sum).drop(r.Sum, r.Version)
		}
	}
	var err error
	m.values, err = ristretto.NewCache(&ristretto.Config[uint64, *Resident]{
		NumCounters: counters,
		MaxCost:     m.share,
		BufferItems: 64,
		OnEvict:     drop,
		OnReject:    drop,
		OnExit: func(r *Resident) {
			if r != nil {
				m.front.drop(r)
			}
		},
		Cost: func(r *Resident) int64 { // called when an item leaves the queue
			m.Buffers.Release(r.cost() + queuing)
			return r.cost()
		},
	})
	return m, err
}

func (m *Store) shard(s store.Sum) *currents { return &m.shards[s[15]%64] }

func (c *currents) drop(s store.Sum, id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.versions[s] == id {
		delete(c.versions, s)
		c.generation.Add(1)
	}
}

// slot mixes the sum, which is already a digest, with the Version.
func slot(s store.Sum, id uint64) uint64 {
	h := id * 0x9e3779b97f4a7c15
	for i := range 8 {
		h ^= uint64(s[i]) << (8 * i)
	}
	return h
}

// front answers most look-ups, with no lock and no write to memory that two hits share. It
// has one slot for each of the keys' hashes that fall on it. A slot has a resident that a
// full look-up found there, or none.
//
// A resident in a slot is the current one as long as its shard's generation is the one that
// the full look-up saw: the generation grows with each change of which Version is current.
//
//	look-up: sees generation 7 and Version 1 under the shard's lock, finds the resident of Version 1,
//	         notes 7 in it, and gives it a slot
//	commit:  makes Version 2 current, generation 8
//	look-up: finds Version 1 in the slot and 7 is not 8: does a full look-up
//
// ristretto evicts by how often it was asked for a value, so it is asked in one hit of
// sampled. The others would add nothing: its counters end at 15.
type front struct {
	seed  maphash.Seed
	slots []atomic.Pointer[Resident]
}

// sampled is the number of hits of which ristretto learns of one.
const sampled = 8

// maxFront is the number of slots, 8 bytes each, of a large tier's front.
const maxFront = 1 << 17

// newFront makes a front for about so many residents, with two slots for each.
func newFront(residents int64) front {
	n := 1 << bits.Len64(uint64(min(max(2*residents, 1<<10), maxFront)-1))
	return front{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[Resident], n)}
}

// size is the front's size, in bytes.
func (f *front) size() int64 { return 8 * int64(len(f.slots)) }

func (f *front) slot(k store.Key) *atomic.Pointer[Resident] {
	h := maphash.String(f.seed, k.ID) ^ bits.RotateLeft64(maphash.String(f.seed, k.Site), 32)
	return &f.slots[h&uint64(len(f.slots)-1)]
}

// get returns the key's resident if it is known to be current.
func (f *front) get(k store.Key) *Resident {
	r := f.slot(k).Load()
	if r == nil || r.Key.ID != k.ID || r.Key.Site != k.Site || !r.Current() {
		return nil
	}
	return r
}

// put gives a resident its slot, which was current at that generation of its shard.
func (f *front) put(r *Resident, generation uint64) {
	if r.generation.Load() != generation {
		r.generation.Store(generation)
	}
	s := f.slot(r.Key)
	if s.Load() != r {
		s.Store(r)
	}
	// Where it has left meanwhile, drop may have come before it had the slot.
	if r.shard.generation.Load() != generation {
		f.drop(r)
	}
}

// drop empties the slot of a resident that has left ristretto. The generation of its shard
// has grown before, so that put sees that, or drop sees put's resident.
func (f *front) drop(r *Resident) { f.slot(r.Key).CompareAndSwap(r, nil) }

// Hit returns the response if the front has it. It takes no lock and writes nothing, but
// where it tells ristretto of the hit.
func (m *Store) Hit(k store.Key) *Resident {
	r := m.front.get(k)
	if r != nil && rand.Uint32()%sampled == 0 {
		m.values.Get(slot(r.Sum, r.Version))
	}
	return r
}

// Lookup returns the response, or a ticket for Promote.
func (m *Store) Lookup(k store.Key, sum store.Sum) (*Resident, uint64) {
	c := m.shard(sum)
	c.mu.Lock()
	id, ok := c.versions[sum]
	ticket, generation := c.changes, c.generation.Load()
	c.mu.Unlock()
	if !ok {
		return nil, ticket
	}
	r, ok := m.values.Get(slot(sum, id))
	if !ok || r.Version != id || r.Key.Site != k.Site || r.Key.ID != k.ID {
		return nil, ticket
	}
	m.front.put(r, generation)
	return r, ticket
}

// Fits reports whether a response is small enough.
func (m *Store) Fits(meta *store.Meta) bool {
	return meta.Size()+meta.Overhead() <= m.largest
}

// Put keeps a committed response. With sole the disk has no copy.
func (m *Store) Put(k store.Key, meta *store.Meta, data []byte, sole bool) {
	sum := k.Sum()
	c := m.shard(sum)
	c.mu.Lock()
	c.changes++
	before, had := c.versions[sum]
	newer := before < meta.Version
	if newer {
		c.versions[sum] = meta.Version
		c.generation.Add(1)
	}
	c.mu.Unlock()
	if !newer {
		return
	}
	m.set(NewResident(k, sum, meta, data, sole))
	if had {
		m.values.Del(slot(sum, before)) // it is never looked up again, and would count until evicted
	}
}

func (m *Store) set(r *Resident) {
	m.resize()
	r.shard = m.shard(r.Sum)
	n := r.cost() + queuing
	if m.Buffers.Take(n) {
		if m.values.Set(slot(r.Sum, r.Version), r, 0) {
			return
		}
		m.Buffers.Release(n)
	}
	r.shard.drop(r.Sum, r.Version)
}

// resize sets ristretto's bound to the share less the borrowed bytes and the index overhead.
// ristretto evicts down to it with its next writes.
func (m *Store) resize() {
	share := max(m.share-m.borrowed.Load()-m.indexOverhead(), budget.MinTier)
	if off := m.values.MaxCost() - share; off > share/64 || off < -share/64 {
		m.values.UpdateMaxCost(share)
	}
}

func (m *Store) Forget(sum store.Sum) {
	c := m.shard(sum)
	c.mu.Lock()
	id, ok := c.versions[sum]
	delete(c.versions, sum)
	c.changes++
	c.generation.Add(1)
	c.mu.Unlock()
	if ok {
		m.values.Del(slot(sum, id))
	}
}

// Get, Remove, Freshen and Create make memory a store.Store by itself, for an edge without
// a disk tier.
func (m *Store) Get(k store.Key) *store.Entry {
	if r := m.Hit(k); r != nil {
		return &r.Entry
	}
	if r, _ := m.Lookup(k, k.Sum()); r != nil {
		return &r.Entry
	}
	return nil
}

func (m *Store) Remove(k store.Key, id uint64) {
	sum := k.Sum()
	m.shard(sum).drop(sum, id)
	m.values.Del(slot(sum, id))
}

// Wait waits until ristretto has emptied its queue.
func (m *Store) Wait() { m.values.Wait() }

// Close must come after the last put: ristretto panics on a Set that races with
// its Close.
func (m *Store) Close() { m.values.Close() }

// Each calls visit with the stored responses, one after the other and outside of every lock.
// One that comes or goes meanwhile may be left out. Each counts as an access of all of them
// for ristretto, which changes nothing between them.
func (m *Store) Each(visit func(store.Sum, *store.Meta)) {
	for i := range m.shards {
		for sum, id := range m.shards[i].stored() {
			if r, ok := m.values.Get(slot(sum, id)); ok && r.Version == id && r.Sum == sum {
				visit(sum, r.Meta)
			}
		}
	}
}

// stored is a copy of the versions.
func (c *currents) stored() map[store.Sum]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.versions)
}

// Usage is the memory tier's size.
type Usage struct {
	MemoryBytes   int64 `json:"memory_bytes"`
	MemoryObjects int64 `json:"memory_objects"`
}

func (m *Store) Usage() Usage {
	u := Usage{MemoryBytes: m.values.MaxCost() - m.values.RemainingCost()}
	for i := range m.shards {
		m.shards[i].mu.Lock()
		u.MemoryObjects += int64(len(m.shards[i].versions))
		m.shards[i].mu.Unlock()
	}
	return u
}
