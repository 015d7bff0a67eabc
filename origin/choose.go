package origin

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/origin/kind"
)

// near is the time to a first byte below which masters count as equally near,
// and share the reads evenly.
const near = 10 * time.Millisecond

// The order in which masters are asked, by what is known of them.
const (
	asUsual  = iota
	spares   // used when no primary or replica is healthy, and after those
	easing   // recovering, and spared this time
	doubtful // suspect, or out and resting
	lastHope // out, but better than an error
	tiers
)

// order lists the masters to ask for a read, best first. The first usable of
// them are expected to answer. In an outage there is none to ask.
func (p *pool) order(a *Ask) (order []*master, usable int) {
	var tier [tiers][]*master
	p.update(func(now time.Time) {
		p.review(now) // before, for what time has changed
		if !p.down.IsZero() {
			return
		}
		for _, m := range p.masters {
			if m.drained.IsZero() {
				t := p.tier(m, now)
				tier[t] = append(tier[t], m)
			}
		}
	})
	now := time.Now()
	for t, masters := range tier {
		switch t {
		case asUsual:
			p.prefer(masters, classOf(a.Route), now)
		case lastHope:
			usable = len(order)
			if a.Stale {
				return order, usable // there is something better to answer with
			}
		}
		order = append(order, masters...)
	}
	// Whoever wrote reads its own write: a replica may not have it yet.
	if i := slices.IndexFunc(order[:usable], func(m *master) bool { return m.primary }); i > 0 && p.pins.has(a.Route, now) {
		m := order[i]
		order = slices.Insert(slices.Delete(order, i, i+1), 0, m)
	}
	return order, usable
}

// tier is a master's place by its state. p.mu is held.
func (p *pool) tier(m *master, now time.Time) int {
	const percent = 100
	switch {
	case m.state == suspect, p.resting(m):
		return doubtful
	case m.state == out:
		return lastHope
	case m.spare:
		return spares
	case float64(p.random(percent)) >= percent*m.share(now):
		return easing
	}
	return asUsual
}

// prefer puts the less loaded of two random masters first, which spreads a load
// nearly as well as knowing the least loaded one, and does not send everybody
// there at once. The others follow by load.
func (p *pool) prefer(masters []*master, c class, now time.Time) {
	if len(masters) < 2 {
		return
	}
	load := func(m *master) time.Duration { return m.load(c, p.near, now) }
	i, j := p.random(len(masters)), p.random(len(masters)-1)
	if j >= i {
		j++
	}
	if load(masters[j]) < load(masters[i]) {
		i = j
	}
	first := masters[i]
	copy(masters[1:], slices.Delete(slices.Clone(masters), i, i+1))
	masters[0] = first
	slices.SortStableFunc(masters[1:], func(a, b *master) int { return cmp.Compare(load(a), load(b)) })
}

// load is what one more request of a class would wait for.
func (m *master) load(c class, near time.Duration, now time.Time) time.Duration {
	return max(m.latency.average(now), near) * time.Duration(m.rooms[c].inside()+1)
}

// pins are what was written a moment ago.
type pins struct {
	some  atomic.Bool // false while there never was one
	mu    sync.Mutex
	until map[string]time.Time // by the name of a group or a key
}

const (
	// pinned is how long after a write its reads go to the primary first. A
	// replica that takes longer is behind, and the newer document that the
	// edge then has stored is not replaced by its older one.
	pinned  = time.Minute
	maxPins = 4096
)

// Wrote says that a client changed what marks name: for a minute, the primary
// is asked for it before any other master.
func (s *Site) Wrote(marks []kind.Mark) {
	now := time.Now()
	for _, p := range s.pools() {
		for _, m := range marks {
			p.pins.add(m.Name, now)
		}
	}
}

// Written says that a client changed what r asks for, a moment ago: no older
// answer will do while the primary can give one.
func (s *Site) Written(r kind.Route) bool { return s.pool.pins.has(r, time.Now()) }

func (s *pins) add(name string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until = make(map[string]time.Time)
	}
	if len(s.until) >= maxPins {
		for n, until := range s.until {
			if now.After(until) {
				delete(s.until, n)
			}
		}
	}
	for n := range s.until { // any one, where all still hold
		if len(s.until) < maxPins {
			break
		}
		delete(s.until, n)
	}
	s.until[name] = now.Add(pinned)
	s.some.Store(true)
}

func (s *pins) has(r kind.Route, now time.Time) bool {
	if !s.some.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{r.Group, r.Key} {
		if until, ok := s.until[name]; ok && now.Before(until) {
			return true
		}
	}
	return false
}
