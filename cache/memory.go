package cache

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"pkgedge/cache/budget"
	"pkgedge/cache/sieve"
	"pkgedge/cache/store"
)

// memory keeps small stored responses in ristretto.
//
// ristretto drops writes, reorders them, and can bring a deleted value back
// (PITFALLS section 1 measured all three). So it decides nothing here: its key
// is (sum, Meta.ID), under which exactly one immutable value can ever exist, and
// current says which ID is the stored one. What ristretto does not have is a
// miss; what it still has of an older ID is never asked for.
type memory struct {
	values  *ristretto.Cache[uint64, *resident]
	largest int64 // bytes; larger responses are not kept here
	shards  [64]currents

	// afloat also has what ristretto was given and has not decided on yet: it
	// counts none of that, and its queue is long.
	afloat *budget.Buffers

	share  int64        // what values may hold, less what is lent and beside
	lent   atomic.Int64 // bytes
	beside func() int64 // what the disk tier's index takes
}

// currents maps sums to the ID of the stored response, for those that were
// given to ristretto. ristretto's evictions remove entries, which bounds it.
type currents struct {
	mu sync.Mutex
	// changes counts puts and forgets. A copy made from the disk is only taken
	// when nothing changed since the look-up that missed: otherwise
	//
	//	reader: misses in memory, opens v1 on disk
	//	writer: commits v2, put; v2 is evicted from memory
	//	reader: puts v1 — and memory would answer with it
	changes uint64
	ids     map[store.Sum]uint64
	moving  map[store.Sum]int // copied from one tier to the other at this moment, see Holds
}

// resident is a response in memory, and its own Body. It is immutable, so that a hit
// hands out the one Entry that it has.
type resident struct {
	store.Entry
	key  store.Key
	sum  store.Sum
	data []byte
	sole bool // there is no copy on disk, or not with this Meta

	visit sieve.Visit // of the copy on disk
}

func newResident(k store.Key, sum store.Sum, m *store.Meta, data []byte, sole bool) *resident {
	r := &resident{key: k, sum: sum, data: data, sole: sole}
	r.Entry = store.Entry{Meta: m, Body: r}
	return r
}

// ReadAt, Section, Bytes and Close make a resident a Body.
func (r *resident) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(r.data)) {
		return 0, io.EOF
	}
	n := copy(p, r.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r *resident) Section(off, n int64) (io.Reader, error) {
	return bytes.NewReader(r.data[off : off+n]), nil
}

func (r *resident) Bytes() ([]byte, bool) { return r.data, true }

func (r *resident) Close() error { return nil }

// cost is what a resident takes, to which ristretto adds 56 bytes.
func (r *resident) cost() int64 { return int64(cap(r.data)) + r.Overhead() }

// room makes a body's bytes with the capacity that the allocator gives them, so
// that cap says what they take.
func room(size int64) []byte { return slices.Grow([]byte(nil), int(size))[:size] }

const (
	// queuing is what a fill takes that waits for ristretto.
	queuing = 16 << 10
)

// meanObject is the size the counters are planned for: registries' small
// objects are packument variants and small tarballs.
const meanObject = 16 << 10

func newMemory(s budget.Shares) (*memory, error) {
	m := &memory{
		largest: max(s.Tier/64, 64<<10), // about a hundredth of the budget
		afloat:  budget.NewBuffers(s.Afloat),
		beside:  func() int64 { return 0 },
	}
	for i := range m.shards {
		m.shards[i].ids, m.shards[i].moving = make(map[store.Sum]uint64), make(map[store.Sum]int)
	}
	// About 30 counters for each object that fits: the sketch's four rows
	// carry the information of one (PITFALLS section 1 has the hit ratios).
	counters := max(30*s.Tier/meanObject, 10_000)
	m.share = max(s.Tier-5*counters, budget.MinTier)
	drop := func(item *ristretto.Item[*resident]) {
		if r := item.Value; r != nil {
			m.shard(r.sum).drop(r.sum, r.ID)
		}
	}
	var err error
	m.values, err = ristretto.NewCache(&ristretto.Config[uint64, *resident]{
		NumCounters: counters,
		MaxCost:     m.share,
		BufferItems: 64,
		OnEvict:     drop,
		OnReject:    drop,
		Cost: func(r *resident) int64 { // called when an item leaves the queue
			m.afloat.Release(r.cost() + queuing)
			return r.cost()
		},
	})
	return m, err
}

func (m *memory) shard(s store.Sum) *currents { return &m.shards[s[15]%64] }

func (c *currents) drop(s store.Sum, id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids[s] == id {
		delete(c.ids, s)
	}
}

// slot mixes the sum, which is already a digest, with the ID.
func slot(s store.Sum, id uint64) uint64 {
	h := id * 0x9e3779b97f4a7c15
	for i := range 8 {
		h ^= uint64(s[i]) << (8 * i)
	}
	return h
}

// get returns the response, or a ticket for promote.
func (m *memory) get(k store.Key, sum store.Sum) (*resident, uint64) {
	c := m.shard(sum)
	c.mu.Lock()
	id, ok := c.ids[sum]
	ticket := c.changes
	c.mu.Unlock()
	if !ok {
		return nil, ticket
	}
	r, ok := m.values.Get(slot(sum, id))
	if !ok || r.ID != id || r.key.Site != k.Site || r.key.ID != k.ID {
		return nil, ticket
	}
	return r, ticket
}

// takes says whether a response is small enough.
func (m *memory) takes(meta *store.Meta) bool {
	return meta.Size()+meta.Overhead() <= m.largest
}

// put keeps a response that was committed. sole says that the disk has no copy.
func (m *memory) put(k store.Key, meta *store.Meta, data []byte, sole bool) {
	sum := k.Sum()
	c := m.shard(sum)
	c.mu.Lock()
	c.changes++
	before, had := c.ids[sum]
	newer := before < meta.ID
	if newer {
		c.ids[sum] = meta.ID
	}
	c.mu.Unlock()
	if !newer {
		return
	}
	m.set(newResident(k, sum, meta, data, sole))
	if had {
		m.values.Del(slot(sum, before)) // nobody asks for it again, and it would count until evicted
	}
}

func (m *memory) set(r *resident) {
	m.resize()
	n := r.cost() + queuing
	if m.afloat.Take(n) {
		if m.values.Set(slot(r.sum, r.ID), r, 0) {
			return
		}
		m.afloat.Release(n)
	}
	m.shard(r.sum).drop(r.sum, r.ID)
}

// promote keeps a copy of a response read from the disk, if nothing changed
// since the look-up that gave the ticket, and returns the copy to serve.
func (m *memory) promote(ticket uint64, k store.Key, meta *store.Meta, data []byte) *store.Entry {
	r := newResident(k, k.Sum(), meta, data, false)
	m.values.Get(slot(r.sum, meta.ID)) // it is not there, and counts as asked for: ristretto admits by that
	c := m.shard(r.sum)
	c.mu.Lock()
	taken := c.changes == ticket && c.ids[r.sum] < meta.ID
	if taken {
		c.ids[r.sum] = meta.ID
	}
	c.mu.Unlock()
	if taken {
		m.set(r)
	}
	return &r.Entry
}

// Freshen renews the Meta of the response with the old ID, if that is held here
// and the current one.
func (m *memory) Freshen(k store.Key, old uint64, meta *store.Meta) error {
	return m.freshen(k, old, meta, true)
}

// freshen is Freshen; sole says that the disk does not have the new Meta.
func (m *memory) freshen(k store.Key, old uint64, meta *store.Meta, sole bool) error {
	sum := k.Sum()
	r, ok := m.values.Get(slot(sum, old))
	if !ok || r.ID != old || !store.SameBytes(r.Meta, meta) {
		return store.ErrGone
	}
	c := m.shard(sum)
	c.mu.Lock()
	current := c.ids[sum] == old
	if current {
		c.changes++
		c.ids[sum] = meta.ID
	}
	c.mu.Unlock()
	if !current {
		return store.ErrGone
	}
	m.set(newResident(k, sum, meta, r.data, sole))
	m.values.Del(slot(sum, old))
	m.values.Wait() // as in Commit
	return nil
}

// shared records that the disk has a copy now.
func (m *memory) shared(r *resident) {
	if m.current(r.sum, r.ID) {
		m.set(newResident(r.key, r.sum, r.Meta, r.data, false))
	}
}

// current says that the response with that ID is here.
func (m *memory) current(sum store.Sum, id uint64) bool {
	c := m.shard(sum)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ids[sum] == id
}

// moves begins, and moved ends, a copy from one tier to the other.
func (m *memory) moves(sum store.Sum) {
	c := m.shard(sum)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moving[sum]++
}

func (m *memory) moved(sum store.Sum) {
	c := m.shard(sum)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.moving[sum]--; c.moving[sum] == 0 {
		delete(c.moving, sum)
	}
}

// sole says that the response with that ID is here, and nowhere else.
func (m *memory) sole(sum store.Sum, id uint64) bool {
	r, ok := m.values.Get(slot(sum, id))
	return ok && r.sole && r.sum == sum && r.ID == id
}

func (m *memory) forget(sum store.Sum) {
	c := m.shard(sum)
	c.mu.Lock()
	id, ok := c.ids[sum]
	delete(c.ids, sum)
	c.changes++
	c.mu.Unlock()
	if ok {
		m.values.Del(slot(sum, id))
	}
}

// used is what memory holds, in bytes, and how many responses.
func (m *memory) used() (bytes int64, objects int) {
	for i := range m.shards {
		m.shards[i].mu.Lock()
		objects += len(m.shards[i].ids)
		m.shards[i].mu.Unlock()
	}
	return m.values.MaxCost() - m.values.RemainingCost(), objects
}

// Get, Remove, Freshen above, and Create beside the writer, make memory a Store by
// itself, for an edge without a disk tier.
func (m *memory) Get(k store.Key) *store.Entry {
	if r, _ := m.get(k, k.Sum()); r != nil {
		return &r.Entry
	}
	return nil
}

func (m *memory) Remove(k store.Key, id uint64) {
	sum := k.Sum()
	m.shard(sum).drop(sum, id)
	m.values.Del(slot(sum, id))
}

// close must come after the last put: ristretto panics on a Set that races with
// its Close.
func (m *memory) close() { m.values.Close() }

// has says that a response is here, or was until a moment ago, or is being copied
// to or from the disk.
func (m *memory) has(sum store.Sum) bool {
	c := m.shard(sum)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.ids[sum]
	return ok || c.moving[sum] > 0
}
