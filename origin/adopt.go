package origin

import (
	"maps"
	"time"
)

// Adopt takes over what old, the site of the same name in an earlier
// configuration, knows: of the masters that both have, who is out or drained,
// since when and why, how fast they are, and which requests are at them; and of
// the pools, an outage, what was written of late, what was spent of the budgets,
// and what was counted.
//
// It is called before s serves its first request. Old may go on serving while s
// does, until its last request has ended and it is closed: the places that those
// requests have at a master are the same for both, and so is what they write.
// What they find wrong with a master is old's to know: s finds out by itself.
//
// What old probes with is taken over where mine says of its path that it is still
// these masters' business: its name may have become private.
func (s *Site) Adopt(old *Site, mine func(path string) bool) {
	for _, p := range s.pools() {
		for _, from := range old.pools() {
			if p.name == from.name {
				p.adopt(from, mine)
			}
		}
		p.update(func(time.Time) { p.pins = old.pool.pins })
	}
	s.held.adopt(&old.held)
}

func (p *pool) adopt(from *pool, mine func(path string) bool) {
	heirs := make(map[*master]*master) // by whom they succeed
	for _, m := range p.masters {
		for _, before := range from.masters {
			if m.name == before.name {
				heirs[before] = m
			}
		}
	}
	p.doubts.adopt(from.doubts, heirs)
	known := make(map[*master]health)
	from.mu.Lock()
	for before := range heirs {
		known[before] = before.health
	}
	probed, down, downAt, outages := from.learnt, from.down, from.downAt.Load(), from.outages
	from.mu.Unlock()
	p.update(func(time.Time) {
		p.down, p.outages = down, outages
		if probed.path != "" && mine(probed.path) {
			p.learnt = probed
		}
		p.downAt.Store(downAt)
		p.waits, p.hedges, p.retries, p.counts = from.waits, from.hedges, from.retries, from.counts
		for before, h := range known {
			m := heirs[before]
			m.rooms, m.latency = before.rooms, before.latency
			h.probe.beat = m.probe.beat // of a loop that is not this one
			m.health = h
		}
	})
}

// adopt takes over doubts about masters that have heirs.
func (d *doubts) adopt(from *doubts, heirs map[*master]*master) {
	from.mu.Lock()
	about := maps.Clone(from.about)
	from.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, until := range about {
		if m, ok := heirs[k.master]; ok {
			d.about[doubt{m, k.key}] = until
		}
	}
}

// adopt takes over what is held back.
func (h *held) adopt(from *held) {
	from.mu.Lock()
	since := maps.Clone(from.since)
	from.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since = since
}
