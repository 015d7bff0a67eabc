package fastlane

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// ways is the number of slots that a key may be in.
const ways = 4

// table finds answers by their keys. It has a fixed number of slots, and no lock: a slot is
// replaced as a whole.
type table struct {
	seed  maphash.Seed
	slots []atomic.Pointer[answer]
}

func newTable(size int) table {
	n := 1 << bits.Len(uint(max(size, ways)-1))
	return table{maphash.MakeSeed(), make([]atomic.Pointer[answer], n)}
}

// set returns the slots of a hash.
func (t *table) set(hash uint64) []atomic.Pointer[answer] {
	i := int(hash) & (len(t.slots) - 1) &^ (ways - 1)
	return t.slots[i : i+ways]
}

func (t *table) find(key []byte) *answer {
	hash := maphash.Bytes(t.seed, key)
	for i := range t.set(hash) {
		if a := t.set(hash)[i].Load(); a != nil && a.hash == hash && a.key == string(key) {
			return a
		}
	}
	return nil
}

// put keeps an answer in the place of one with its key, or in an empty slot, or else in the
// place of any.
func (t *table) put(a *answer) {
	a.hash = maphash.String(t.seed, a.key)
	set := t.set(a.hash)
	at := -1
	for i := range set {
		old := set[i].Load()
		if old != nil && old.key == a.key {
			at = i
			break
		}
		if old == nil && at < 0 {
			at = i
		}
	}
	if at < 0 {
		at = rand.IntN(ways)
	}
	set[at].Store(a)
}

func (t *table) clear() {
	for i := range t.slots {
		t.slots[i].Store(nil)
	}
}
