package fleetsim

import (
	"flag"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"pkgedge/edge/edgetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	edges    = flag.Int("edges", 1000, "virtual edges")
	inAPop   = flag.Int("pop", 10, "edges in a pop")
	packages = flag.Int("packages", 100, "packages")
	lifetime = flag.Duration("lifetime", 4*time.Second, "of documents")
	lasts    = flag.Duration("for", 24*time.Second, "virtual time that is compared with the model")
)

// percent is how far the simulation may be from the model. docs/fleet.md states it.
const percent = 5

// A fleet does as its model in docs/fleet.md says, and none of its edges has anything old.
func TestAFleetDoesAsItsModelSays(t *testing.T) {
	p := plan{
		edges: *edges, pop: *inAPop, packages: *packages, lifetime: *lifetime, most: 12 / lifetime.Seconds(), publishes: 1.5,
		warm: 2 * *lifetime, run: *lasts, off: 10, offFor: *lasts / 3,
	}
	if edgetest.Race { // it finds no more in more of them
		p.edges = min(p.edges, 100)
	}
	synctest.Test(t, func(t *testing.T) { simulate(t, p) })
}

func simulate(t *testing.T, p plan) {
	f := newFleet(t, p)
	defer f.stop()
	t.Logf("%-42s %10s %10s %6s", fmt.Sprintf("%d edges in %d places, %s", p.edges, len(f.pops), p.run), "model", "simulated", "off by")
	compare := func(name string, model, is float64) {
		t.Helper()
		off := 100 * (is/model - 1)
		t.Logf("%-42s %10.0f %10.0f %+5.1f%%", name, model, is, off)
		if !(math.Abs(off) <= percent) {
			t.Errorf("%s: %.0f in the model, %.0f in the simulation", name, model, is)
		}
	}
	f.traffic(t, p.warm)
	documents, published, log := f.masters.documents, f.published, f.log.count()
	f.traffic(t, p.run)
	published = f.published - published
	now := f.log.count()

	model, alone := p.documents(float64(published), p.run)
	compare("requests for documents at the masters", model, float64(f.masters.documents-documents))
	t.Logf("%-42s %10.0f", "  were each edge alone", alone)
	var asking []time.Duration
	for _, in := range f.pops {
		asking = append(asking, time.Since(in.begins))
	}
	places, store := p.files(asking)
	compare("downloads of files", places, float64(f.masters.files))
	compare("  with a shared store", store, float64(f.masters.withStore))
	compare("purges delivered to edges", float64(p.edges*published), float64(now.purgesDelivered-log.purgesDelivered))
	compare("ticks published", p.ticks(p.run), float64(now.ticks-log.ticks))
	compare("ticks delivered", p.ticks(p.run), float64(now.ticksDelivered-log.ticksDelivered))
	compare("bytes in the log", p.stored(f.published), float64(f.log.stored()))

	versions := slices.Clone(f.masters.version)
	var off []*edge
	for i := range p.off {
		e := f.edges[i*len(f.edges)/p.off]
		e.stop()
		off = append(off, e)
	}
	f.traffic(t, p.offFor)
	missed := 0
	for pkg, n := range f.masters.version {
		if n > versions[pkg] {
			missed++
		}
	}
	before := f.log.count()
	for _, e := range off {
		e.start(t)
	}
	for _, e := range off {
		e.await(t)
	}
	compare("purges read by edges that were off", float64(p.off*missed), float64(f.log.count().purgesDelivered-before.purgesDelivered))
	f.traffic(t, p.lifetime)

	if f.old > 0 {
		t.Errorf("%d of %d answers were old", f.old, f.answers)
	}
	for _, e := range f.edges {
		if s := e.log.Status(); !s.Live || s.Resets > 1 || s.Outbox > 0 || s.Behind > 0 {
			t.Errorf("%s: %+v", e.name, s)
		}
	}
	t.Logf("%d answers, %d purges", f.answers, f.published)
}
