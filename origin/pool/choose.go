package pool

import (
	"cmp"
	"slices"
	"time"

	"pkgedge/origin/health"
)

// The order in which masters are asked, by their health.
const (
	asUsual    = iota
	spares     // used when no primary or replica is healthy, and after those
	slowStart  // recovering, and spared this time
	doubted    // suspect, or out although the last probe was well
	lastResort // out, but better than an error
	tiers
)

// order lists the masters to ask for a read, best first. The first usable of
// them are expected to answer: none in an outage.
func (p *Pool) order(r *Request) (order []*health.Master, usable int) {
	var byTier [tiers][]*health.Master
	for _, c := range p.Candidates() {
		t := p.tier(c)
		byTier[t] = append(byTier[t], c.Master)
	}
	now, class := time.Now(), health.ClassOf(r.Route)
	for t, masters := range byTier {
		switch t {
		case asUsual:
			p.preferLessLoaded(masters, class, now)
			if r.Followed {
				primaryFirst(masters, class)
			}
		case lastResort:
			usable = len(order)
			if r.Stale && usable > 0 {
				return order, usable // there is something better to answer with
			}
			p.sortByLoad(masters, class, now)
		}
		order = append(order, masters...)
	}
	return order, usable
}

func (p *Pool) tier(c health.Candidate) int {
	const percent = 100
	switch {
	case c.Trust == health.Doubted:
		return doubted
	case c.Trust == health.Hopeless:
		return lastResort
	case c.Spare:
		return spares
	case float64(p.cfg.Random(percent)) >= percent*c.Share:
		return slowStart
	}
	return asUsual
}

// preferLessLoaded puts the less loaded of two random masters first, which spreads
// a load nearly as well as knowing the least loaded one, and does not send all
// requests there at once. The others follow by load.
func (p *Pool) preferLessLoaded(masters []*health.Master, c health.Class, now time.Time) {
	if len(masters) < 2 {
		return
	}
	load := func(m *health.Master) time.Duration { return p.load(m, c, now) }
	i, j := p.cfg.Random(len(masters)), p.cfg.Random(len(masters)-1)
	if j >= i {
		j++
	}
	if load(masters[j]) < load(masters[i]) {
		i = j
	}
	first := masters[i]
	copy(masters[1:], slices.Delete(slices.Clone(masters), i, i+1))
	masters[0] = first
	p.sortByLoad(masters[1:], c, now)
}

// sortByLoad puts the less loaded masters first.
func (p *Pool) sortByLoad(masters []*health.Master, c health.Class, now time.Time) {
	slices.SortStableFunc(masters, func(a, b *health.Master) int { return cmp.Compare(p.load(a, c, now), p.load(b, c, now)) })
}

func (p *Pool) load(m *health.Master, c health.Class, now time.Time) time.Duration {
	return m.Load(c, p.cfg.LatencyFloor, now)
}

// primaryFirst puts the primary first, if it is among the masters and no request
// waits for it.
func primaryFirst(masters []*health.Master, c health.Class) {
	i := slices.IndexFunc(masters, func(m *health.Master) bool { return m.Primary })
	if i > 0 && !masters[i].Waits(c) {
		toFront(masters, i)
	}
}

func toFront(masters []*health.Master, i int) {
	m := masters[i]
	copy(masters[1:], masters[:i])
	masters[0] = m
}
