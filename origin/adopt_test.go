package origin

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/sample/faults"
)

func TestAdoptKeepsWhatWasKnown(t *testing.T) {
	old := poolOf("prr", nil)
	for range inARow {
		old.failed(old.called("b"), unanswered)
	}
	before := &Site{pool: old, files: old}
	if err := before.Drain("c.example", true); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	old.called("a").latency.add(now, time.Second)
	old.waits[forMetadata].add(now, time.Second)
	old.hedged.Add(3)
	old.retried.Add(4)
	for old.retries.spend(now, 0) {
	}
	old.doubts.add(old.called("b"), "tarball/x", now)
	old.learnt = learnt{"/x/latest", 10}
	before.Wrote([]kind.Invalidation{{Name: "one"}})
	before.held.over("index", []string{"/v1"}, now)

	fresh := poolOf("rrpr", nil) // c is the primary now, and d is new
	after := &Site{pool: fresh, files: fresh}
	after.Adopt(before, func(path string) bool { return path == "/x/latest" })
	if got := fresh.state("b"); got.State != "out" || got.Why == "" || got.Since != old.state("b").Since {
		t.Errorf("b: %+v", got)
	}
	if got := fresh.state("c"); !got.Drained || got.Role != "primary" {
		t.Errorf("c: %+v", got)
	}
	if got := fresh.state("a"); got.State != "healthy" || got.P95MS != 1000 {
		t.Errorf("a: %+v", got)
	}
	if got := fresh.state("d"); got.State != "healthy" || got.P95MS != 0 {
		t.Errorf("d: %+v", got)
	}
	if st := fresh.status(); st.Hedged != 3 || st.Retried != 4 {
		t.Errorf("%d hedged, %d retried; want 3 and 4", st.Hedged, st.Retried)
	}
	if fresh.waits[forMetadata].percentile(95, 1) != time.Second || fresh.retries.spend(now, 0) {
		t.Error("waits or budgets have gone")
	}
	if fresh.learnt.path != "/x/latest" {
		t.Error("what is probed with has gone")
	}
	other := poolOf("rrpr", nil)
	(&Site{pool: other, files: other}).Adopt(before, nothing)
	if other.learnt.path != "" {
		t.Errorf("masters are asked for %s, which is no business of theirs", other.learnt.path)
	}
	order := slices.Clone(fresh.masters)
	if fresh.doubts.last(order, "tarball/x", now); order[len(order)-1] != fresh.called("b") {
		t.Error("it is not in doubt which master sent a wrong file")
	}
	if !after.Written(kind.Route{Group: "one"}) || !after.held.over("index", []string{"/v1"}, now.Add(longestHold)) {
		t.Error("what was written, or is held back, has been forgotten")
	}
	// What a request that old has still in hand writes, s knows too.
	before.Wrote([]kind.Invalidation{{Name: "two"}})
	if !after.Written(kind.Route{Group: "two"}) {
		t.Error("what was written meanwhile is not known")
	}
}

// An outage goes on over a reload, and is not a second one; the windows in which
// stale answers may be used go on standing still.
func TestAdoptKeepsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outage := func() *Site {
			p := poolOf("p", nil)
			s := &Site{pool: p, files: p}
			for range inARow {
				p.failed(p.primary(), unanswered)
			}
			<-time.After(time.Second)
			return s
		}
		heard := &events{}
		same := poolOf("p", func(c *Config) { c.Log = slog.New(heard) })
		s := &Site{pool: same, files: same}
		s.Adopt(outage(), anything)
		if got := s.Outage(kind.Metadata, time.Now()); got != time.Second || same.status().Outages != 1 || len(heard.all) != 0 {
			t.Errorf("in an outage for %v, the %d., log %q", got, same.status().Outages, heard.all)
		}
		more := poolOf("pr", nil) // the new one may be well
		s = &Site{pool: more, files: more}
		s.Adopt(outage(), anything)
		if got := s.Outage(kind.Metadata, time.Now()); got != 0 || more.asked(Ask{}) != "b|a" {
			t.Errorf("in an outage for %v, order %q", got, more.asked(Ask{}))
		}
	})
}

// Requests that the old site still has in hand count at the master, which is not
// sent twice as many.
func TestAdoptCountsWhatIsUnderWay(t *testing.T) {
	w := newTwo(t)
	old, fresh := newBehind(t, w.bothURLs), newBehind(t, w.bothURLs)
	gate := faults.NewGate()
	w.a.BreakNext(1, faults.Any, faults.Hold(gate))
	done := make(chan error, 1)
	go func() {
		_, err := old.get(t, aPackument)
		done <- err
	}()
	<-w.a.Arrived(faults.Any)
	fresh.Adopt(old.Site, anything)
	if n := fresh.Status()[0].Masters[0].InFlight; n != 1 {
		t.Errorf("%d in flight; want the one of the old site", n)
	}
	if r, err := fresh.get(t, aPackument); err != nil || r.status != http.StatusOK {
		t.Error(err)
	}
	gate.Open()
	if err := <-done; err != nil {
		t.Errorf("the old site's request: %v", err)
	}
	if n := fresh.Status()[0].Masters[0].InFlight; n != 0 {
		t.Errorf("%d in flight; want none", n)
	}
	old.Close()
	if _, err := fresh.get(t, aTarball); err != nil || errors.Is(err, ErrOutage) {
		t.Errorf("after the old site was closed: %v", err)
	}
}

// A site that gets masters for files of its own does not take the others' state
// for theirs.
func TestAdoptKeepsPoolsApart(t *testing.T) {
	w := newTwo(t)
	both := newBehind(t, w.bothURLs[:1])
	for range inARow {
		both.pool.failed(both.pool.primary(), unanswered)
	}
	own := newBehind(t, w.bothURLs[:1], filesFrom(t, w.bothURLs[0]))
	own.Adopt(both.Site, nothing)
	if st := own.Status(); st[0].Masters[0].State != "out" || st[1].Masters[0].State != "healthy" {
		t.Errorf("%+v", st)
	}
	if own.files.pins != own.pool.pins {
		t.Error("files do not know what was written")
	}
}

func anything(string) bool { return true }
func nothing(string) bool  { return false }
