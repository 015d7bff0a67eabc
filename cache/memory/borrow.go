package memory

import "pkgedge/cache/budget"

// Shrink frees n bytes of the tier at once for a borrower, until Grow returns them. It is
// false, and borrows nothing, where the tier has not that many.
func (m *Store) Shrink(n int64) bool {
	if m.borrowed.Add(n) > m.share-m.indexOverhead()-budget.MinTier {
		m.borrowed.Add(-n)
		return false
	}
	m.resize()
	m.evict(-m.values.RemainingCost())
	return true
}

// Grow returns n borrowed bytes to the tier.
func (m *Store) Grow(n int64) {
	if n > 0 {
		m.borrowed.Add(-n)
		m.resize()
	}
}

// evict drops responses of n bytes, in no order.
func (m *Store) evict(n int64) {
	var gone []*Resident
	if n > 0 {
		m.values.IterValues(func(r *Resident) (stop bool) {
			gone = append(gone, r)
			n -= r.cost()
			return n <= 0
		})
	}
	for _, r := range gone {
		m.shard(r.Sum).drop(r.Sum, r.Version)
		m.values.Del(slot(r.Sum, r.Version))
	}
	if len(gone) > 0 {
		m.values.Wait() // or the next Shrink would find them still counted
	}
}
