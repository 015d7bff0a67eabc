package memory

import "pkgedge/cache/store"

// Copies between memory and the disk tier. Memory keeps a copy of a response read from the
// disk, and the disk gets one of a response that memory alone kept during a pause.

// Promote keeps a copy of a response read from the disk, if nothing changed
// since the look-up that gave the ticket, and returns the copy to serve.
func (m *Store) Promote(ticket uint64, k store.Key, meta *store.Meta, data []byte) *store.Entry {
	r := NewResident(k, k.Sum(), meta, data, false)
	m.values.Get(slot(r.Sum, meta.Version)) // counts an access, by which ristretto admits
	c := m.shard(r.Sum)
	c.mu.Lock()
	taken := c.changes == ticket && c.versions[r.Sum] < meta.Version
	if taken {
		c.versions[r.Sum] = meta.Version
		c.generation.Add(1)
	}
	c.mu.Unlock()
	if taken {
		m.set(r)
	}
	return &r.Entry
}

// Saved records that the disk has a copy now.
func (m *Store) Saved(r *Resident) {
	if m.Current(r.Sum, r.Version) {
		m.set(NewResident(r.Key, r.Sum, r.Meta, r.Data, false))
		m.shard(r.Sum).generation.Add(1) // the front may have the one that is OnlyHere
	}
}

// Current reports whether id is the current one.
func (m *Store) Current(sum store.Sum, id uint64) bool {
	c := m.shard(sum)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.versions[sum] == id
}

// BeginCopy records that a copy from one tier to the other begins. EndCopy ends it.
func (m *Store) BeginCopy(sum store.Sum) {
	c := m.shard(sum)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moving[sum]++
}

func (m *Store) EndCopy(sum store.Sum) {
	c := m.shard(sum)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.moving[sum]--; c.moving[sum] == 0 {
		delete(c.moving, sum)
	}
}

// OnlyHere reports whether memory alone has the response with that Version.
func (m *Store) OnlyHere(sum store.Sum, id uint64) bool {
	r, ok := m.values.Get(slot(sum, id))
	return ok && r.OnlyHere && r.Sum == sum && r.Version == id
}

// Has reports whether a response is in memory, or is being copied to or from the disk. It
// may still be true a moment after an eviction.
func (m *Store) Has(sum store.Sum) bool {
	c := m.shard(sum)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.versions[sum]
	return ok || c.moving[sum] > 0
}
