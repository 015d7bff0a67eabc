package cache

import "pkgedge/cache/budget"

// resize has the tier hold what is neither lent nor the index's. ristretto
// shrinks as it takes more.
func (m *memory) resize() {
	share := max(m.share-m.lent.Load()-m.beside(), budget.MinTier)
	if off := m.values.MaxCost() - share; off > share/64 || off < -share/64 {
		m.values.UpdateMaxCost(share)
	}
}

// lend has the tier spare n bytes, at once and until they are repaid.
func (m *memory) lend(n int64) bool {
	if m.lent.Add(n) > m.share-m.beside()-budget.MinTier {
		m.lent.Add(-n)
		return false
	}
	m.resize()
	m.shed(-m.values.RemainingCost())
	return true
}

func (m *memory) repay(n int64) {
	if n > 0 {
		m.lent.Add(-n)
		m.resize()
	}
}

// shed lets go of n bytes, any.
func (m *memory) shed(n int64) {
	var gone []*resident
	if n > 0 {
		m.values.IterValues(func(r *resident) (stop bool) {
			gone = append(gone, r)
			n -= r.cost()
			return n <= 0
		})
	}
	for _, r := range gone {
		m.shard(r.sum).drop(r.sum, r.ID)
		m.values.Del(slot(r.sum, r.ID))
	}
	if len(gone) > 0 {
		m.values.Wait() // or the next loan would find them still counted
	}
}
