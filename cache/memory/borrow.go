package memory

import "pkgedge/cache/budget"

// resize has the tier hold what is neither lent nor the index's. ristretto
// shrinks as it takes more.
func (m *Store) resize() {
	share := max(m.share-m.borrowed.Load()-m.IndexOverhead(), budget.MinTier)
	if off := m.values.MaxCost() - share; off > share/64 || off < -share/64 {
		m.values.UpdateMaxCost(share)
	}
}

// Shrink has the tier spare n bytes, at once and until they are repaid.
func (m *Store) Shrink(n int64) bool {
	if m.borrowed.Add(n) > m.share-m.IndexOverhead()-budget.MinTier {
		m.borrowed.Add(-n)
		return false
	}
	m.resize()
	m.evict(-m.values.RemainingCost())
	return true
}

func (m *Store) Grow(n int64) {
	if n > 0 {
		m.borrowed.Add(-n)
		m.resize()
	}
}

// evict lets go of n bytes, any.
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
		m.shard(r.Sum).drop(r.Sum, r.ID)
		m.values.Del(slot(r.Sum, r.ID))
	}
	if len(gone) > 0 {
		m.values.Wait() // or the next loan would find them still counted
	}
}
