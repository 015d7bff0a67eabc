package memory

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"

	"pkgedge/cache/store"
)

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
