package health

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// inOutageOf has probes call every master of a group dead.
func inOutageOf(t *testing.T, roles string) *Group {
	g := groupOf(roles, func(c *Config) { c.Probe = Probe{Every: time.Minute, Timeout: time.Second, Fall: 1, Rise: 2} })
	for _, m := range g.masters {
		g.recordProbe(m, "/-/ping", 0, context.DeadlineExceeded)
	}
	if !g.Down() {
		t.Fatal("no outage")
	}
	return g
}

// A dead master makes one client of a class wait at a time. One that answers makes
// nobody else wait for the next probe.
func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := inOutageOf(t, "pr")
		enter := func(c Class, want bool) func(bool) {
			t.Helper()
			leave, ok := g.Enter(c)
			if ok != want {
				t.Errorf("class %d may be sent: %v; want %v", c, ok, want)
			}
			return leave
		}
		failing := enter(ForFiles, true)
		enter(ForFiles, false)
		enter(ForMetadata, true)(false) // each class has its own
		failing(false)
		good := enter(ForFiles, true)
		g.Answered(g.masters[1], ForFiles)
		good(true)
		first, second := enter(ForFiles, true), enter(ForFiles, true)
		metadata := enter(ForMetadata, true)
		enter(ForMetadata, false)
		first(true)
		second(false) // so it is one at a time again
		last := enter(ForFiles, true)
		enter(ForFiles, false)
		last(false)
		g.Answered(g.masters[1], ForFiles)
		<-time.After(trickleOpen)
		last = enter(ForFiles, true)
		enter(ForFiles, false)
		last(false)
		g.Answered(g.masters[1], ForMetadata)
		metadata(true)
		if g.Down() || g.state("b").State != "recovering" {
			t.Errorf("after an answer it is %+v", g.state("b"))
		}
		for range 3 {
			enter(ForMetadata, true)
		}
	})
}

// Where no master is trusted nobody waits for the usual interval of probes.
func TestDoubtInAllIsProbedSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := begin(t, "pr", steady)
		<-time.After(time.Second)
		p.Failed(p.named("a"), unanswered)
		p.Failed(p.named("b"), unanswered)
		<-time.After(4 * inOutage)
		synctest.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		for letter, at := range f.at {
			for second := range 5 {
				if !slices.Contains(at, time.Duration(second+1)*time.Second) {
					t.Errorf("%s was probed at %v; want each second", letter, at)
				}
			}
		}
	})
}
