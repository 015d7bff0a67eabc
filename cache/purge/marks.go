package purge

import (
	"hash/maphash"
	"sync/atomic"

	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// table finds marks by the hash of their targets. Readers take no lock and write nothing.
// Writers hold Sequence.adding.
//
// It never has less than the acknowledged purges: a mark is in its slot before the slot has its
// hash, and a larger table has every mark before it takes the smaller one's place. Two
// targets with one hash of 64 bits share a slot, and each is covered by the purges of both.
type table struct {
	seed  maphash.Seed
	floor atomicMarked // covers everything
	slots []slot       // their number is a power of two, and half of them are free
	used  int
}

type slot struct {
	hash atomic.Uint64 // 0 where the slot is free
	atomicMarked
}

// atomicMarked is a marked that grows while it is read.
type atomicMarked struct{ gone, stale atomic.Uint64 }

func (m *atomicMarked) load() marked { return marked{m.gone.Load(), m.stale.Load()} }

func (m *atomicMarked) add(n marked) {
	m.gone.Store(max(m.gone.Load(), n.gone))
	m.stale.Store(max(m.stale.Load(), n.stale))
}

// minSlots is the number of slots of the smallest table.
const minSlots = 64

func newTable(seed maphash.Seed, floor marked, slots int) *table {
	t := &table{seed: seed, slots: make([]slot, slots)}
	t.floor.add(floor)
	return t
}

// add marks the target with that hash. The table it returns is t, or a larger one with all
// that t has, which readers are to use from now on.
func (t *table) add(hash uint64, m marked) *table {
	for i := hash; ; i++ {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		switch s.hash.Load() {
		case hash:
			s.atomicMarked.add(m)
			return t
		case 0:
			if t.used++; t.used > len(t.slots)/2 {
				return t.grown().add(hash, m)
			}
			s.atomicMarked.add(m)
			s.hash.Store(hash)
			return t
		}
	}
}

// grown is a copy of twice the size.
func (t *table) grown() *table {
	g := newTable(t.seed, t.floor.load(), 2*len(t.slots))
	for i := range t.slots {
		if hash := t.slots[i].hash.Load(); hash != 0 {
			g.add(hash, t.slots[i].load())
		}
	}
	return g
}

// find returns the marks of the target with that hash.
func (t *table) find(hash uint64) marked {
	for i := hash; ; i++ {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		switch s.hash.Load() {
		case hash:
			return s.load()
		case 0:
			return marked{}
		}
	}
}

// covers is the strongest mark of a key's, its group's and its site's purges for a response
// with that sequence.
func (t *table) covers(k store.Key, epoch uint64) policy.Mark { return t.of(k).covers(epoch) }

// of has the newest of all purges that cover a key. Each of its three names is hashed once.
func (t *table) of(k store.Key) marked {
	site := maphash.String(t.seed, k.Site)
	all := t.floor.load()
	all.take(t.find(mix(Key, site, maphash.String(t.seed, k.ID))))
	all.take(t.find(mix(Site, site, 0)))
	if k.Group != "" {
		group := maphash.String(t.seed, k.Group)
		all.take(t.find(mix(Group, site, group)))
		if k.Metadata {
			all.take(t.find(mix(GroupMetadata, site, group)))
		}
	}
	if k.Metadata {
		all.take(t.find(mix(SiteMetadata, site, 0)))
	}
	return all
}

// hash is the hash of a target, as covers finds it.
func (t *table) hash(of target) uint64 {
	site, name := maphash.String(t.seed, of.site), uint64(0)
	if of.scope != Site && of.scope != SiteMetadata {
		name = maphash.String(t.seed, of.name)
	}
	return mix(of.scope, site, name)
}

// mix makes one hash of a scope and two names. It is never 0.
func mix(scope Scope, site, name uint64) uint64 {
	h := (site ^ uint64(scope)*0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>31 ^ name) * 0x94d049bb133111eb
	return h ^ h>>29 | 1<<63
}
