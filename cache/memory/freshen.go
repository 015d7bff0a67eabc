package memory

import "pkgedge/cache/store"

// Freshen renews the Meta of the response with the old Version, if memory has it and it is the
// current one.
func (m *Store) Freshen(k store.Key, old uint64, meta *store.Meta) error {
	return m.Renew(k, old, meta, true)
}

// Renew is Freshen. With sole the disk does not have the new Meta.
func (m *Store) Renew(k store.Key, old uint64, meta *store.Meta, sole bool) error {
	sum := k.Sum()
	r, ok := m.values.Get(slot(sum, old))
	if !ok || r.Version != old || !store.SameBytes(r.Meta, meta) {
		return store.ErrGone
	}
	c := m.shard(sum)
	c.mu.Lock()
	current := c.versions[sum] == old
	if current {
		c.changes++
		c.versions[sum] = meta.Version
		c.generation.Add(1)
	}
	c.mu.Unlock()
	if !current {
		return store.ErrGone
	}
	m.set(NewResident(k, sum, meta, r.Data, sole))
	m.values.Del(slot(sum, old))
	m.Wait() // as in Commit
	return nil
}
