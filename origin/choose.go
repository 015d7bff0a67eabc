package origin

import (
	"cmp"
	"slices"
	"time"
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
			if a.Followed {
				primaryFirst(masters, classOf(a.Route))
			}
		case lastHope:
			usable = len(order)
			if a.Stale {
				return order, usable // there is something better to answer with
			}
		}
		order = append(order, masters...)
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

// primaryFirst puts the primary first, if it is among the masters and nobody
// waits for it.
func primaryFirst(masters []*master, c class) {
	i := slices.IndexFunc(masters, func(m *master) bool { return m.primary })
	if i < 1 {
		return
	}
	if _, waiting := masters[i].rooms[c].load(); waiting == 0 {
		toFront(masters, i)
	}
}

func toFront(masters []*master, i int) {
	m := masters[i]
	copy(masters[1:], masters[:i])
	masters[0] = m
}

// load is what one more request of a class would wait for.
func (m *master) load(c class, near time.Duration, now time.Time) time.Duration {
	inside, waiting := m.rooms[c].load()
	return max(m.latency.average(now), near) * time.Duration(inside+waiting+1)
}
