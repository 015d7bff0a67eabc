package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"pkgedge/origin/sample/faults"
)

const (
	// tenure is how long one master of a kind is spared, and handover how long the next one
	// has been well before: longer than a request that asks each in turn.
	tenure, handover = 40 * time.Second, 20 * time.Second
	// dripEvery is the time in which a dripping master sends three pieces in all.
	dripEvery = 100 * time.Millisecond
)

// trouble puts masters in trouble, and out of it, until ctx ends.
func (w *world) trouble(ctx context.Context, random *rand.Rand, r *report) {
	spared := map[*master]time.Time{w.npm[0]: {}, w.files[0]: {}} // until; zero is without end
	drip := time.NewTicker(dripEvery)
	defer drip.Stop()
	next, change, version := time.After(0), time.NewTicker(tenure), 1
	defer change.Stop()
	defer func() {
		for _, m := range append(w.npm, w.files...) {
			m.mend()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-drip.C:
			for _, m := range append(w.npm, w.files...) {
				m.drip.Step(3)
			}
		case <-change.C:
			for _, all := range [][]*master{w.npm, w.files} {
				w.hand(all, spared, random)
			}
		case now := <-next:
			next = time.After(200*time.Millisecond + time.Duration(random.Int64N(int64(2*time.Second))))
			version++
			name := w.packages[heavyPackages+random.IntN(lightPackages)]
			if err := w.publish(name, fmt.Sprintf("1.0.%d", version), 1<<10+random.IntN(20<<10)); err != nil {
				fail(err)
			}
			for i, all := range [][]*master{w.npm, w.files} {
				m := all[random.IntN(len(all))]
				if until, ok := spared[m]; ok && (until.IsZero() || now.Before(until)) {
					continue
				}
				delete(spared, m)
				m.mend()
				m.Forget() // its journal has each request
				if random.IntN(5) > 0 {
					r.trouble(m.afflict(random, i == 0))
				}
			}
		}
	}
}

// hand spares another master from now on, and the one before for a while.
func (w *world) hand(all []*master, spared map[*master]time.Time, random *rand.Rand) {
	for i, m := range all {
		if until, ok := spared[m]; ok && until.IsZero() {
			spared[m] = time.Now().Add(handover)
			other := all[(i+1+random.IntN(len(all)-1))%len(all)]
			other.mend()
			spared[other] = time.Time{}
			return
		}
	}
}

// mend has a master well again.
func (m *master) mend() {
	m.Mend()
	if m.refused {
		if err := m.server.Resume(); err != nil {
			fail(err)
		}
		m.refused = false
	}
	if m.lagging {
		m.CatchUp()
		m.lagging = false
	}
}

// afflict puts a master in a trouble, and names it. A file whose digest nobody knows must
// fail before its first byte.
func (m *master) afflict(random *rand.Rand, digests bool) string {
	all := []struct {
		name  string
		begin func()
	}{
		{"hangs", func() { m.Break(faults.Any, faults.Hang()) }},
		{"hangs in its header", func() { m.Break(faults.Any, faults.HangInHeaders()) }},
		{"refuses", func() { m.server.Refuse(); m.refused = true }},
		{"drops", func() { m.Break(faults.Any, faults.Drop()) }},
		{"answers 500", func() { m.Break(faults.Any, faults.Status(500)) }},
		{"answers 503", func() { m.Break(faults.Any, faults.Status(503)) }},
		// Of these the first byte may have left where there is no digest.
		{"hangs in bodies", func() { m.Break(faults.Any, faults.HangAfter(random.IntN(100<<10))) }},
		{"hangs in large bodies", func() { m.Break(faults.Suffix(".tgz"), faults.HangAfter(random.IntN(5<<20))) }},
		{"cuts", func() { m.Break(faults.Any, faults.CutAfter(random.IntN(100<<10))) }},
		{"cuts large bodies", func() { m.Break(faults.Suffix(".tgz"), faults.CutAfter(random.IntN(5<<20))) }},
		{"ends early", func() { m.Break(faults.Any, faults.ShortBody(random.IntN(100<<10))) }},
		{"flips a byte", func() { m.Break(faults.Suffix(".tgz"), faults.FlipByte(random.IntN(1<<10))) }},
		{"flips a late byte", func() { m.Break(faults.Suffix(".tgz"), faults.FlipByte(-1-random.IntN(1<<10))) }},
		{"flips, and cuts", func() {
			m.Break(faults.Suffix(".tgz"), faults.FlipByte(random.IntN(1<<10)), faults.CutAfter(1<<10+random.IntN(1<<20)))
		}},
		{"drips", func() { m.Break(faults.Any, faults.Drip(m.drip, 300)) }},
		{"comes slowly", func() { m.Break(faults.Suffix(".tgz"), faults.Drip(m.drip, 8<<10)) }},
		{"answers with pages", func() { m.Break(faults.Any, faults.HTML()) }},
		{"sends bad gzip", func() { m.Break(faults.Any, faults.BadGzip()) }},
		{"lags", func() { m.Lag(); m.lagging = true }},
		{"misses files", func() { m.Break(faults.Suffix(".tgz"), faults.Status(404)) }},
		{"redirects in circles", func() { m.Break(faults.Any, faults.RedirectLoop()) }},
	}
	if !digests {
		all = all[:6]
	}
	t := all[random.IntN(len(all))]
	t.begin()
	return t.name
}
