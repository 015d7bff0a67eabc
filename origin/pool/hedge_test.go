package pool

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/origintest"
	"pkgedge/origin/sample/faults"
)

// usual makes the p95 of metadata known, and short.
func (b *behind) usual() {
	for range enoughWaits {
		b.waits[health.ForMetadata].Add(time.Now(), time.Millisecond)
	}
}

func TestSlowMetadataIsAskedOfAnotherMasterToo(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	b.usual()
	w.A.Break(faults.Any, faults.Hang())
	r, err := b.get(t, aPackument)
	if err != nil || r.status != http.StatusOK {
		t.Fatalf("%d, %v", r.status, err)
	}
	b.settle(t)
	origintest.Equal(t, "reports", b.reported(), []string{"B 200", "A outrun"})
	if st := b.Status(); st.Hedged != 1 || st.Retried != 0 {
		t.Errorf("%d hedged, %d retried; want 1 and 0", st.Hedged, st.Retried)
	}
	// That is held against it, as any other failure: four more put it out.
	for range inARow - 2 {
		b.Failed(b.Primary(), &health.Blame{Did: "cut mid-body"})
	}
	if st := b.Status().Masters[0]; st.State != "healthy" {
		t.Errorf("it is %s after %d failures", st.State, inARow-1)
	}
	if b.Failed(b.Primary(), &health.Blame{Did: "cut mid-body"}); b.Status().Masters[0].State != "out" {
		t.Errorf("it is not out after %d failures", inARow)
	}
}

// A file that a master has just begun to hang on is asked of another one long
// before the first is given up; and of nobody else when it answers.
func TestSlowFileIsAskedOfAnotherMasterToo(t *testing.T) {
	t.Parallel() // it takes leastFileHedge
	w := origintest.NewTwo(t)
	large := w.AddLarge(t)
	b := newBehind(t, w.URLs)
	if _, err := b.get(t, aTarball); err != nil || w.B.Count(faults.Any) != 0 {
		t.Fatalf("%v; the second master was asked %d times while the first was well", err, w.B.Count(faults.Any))
	}
	w.A.Break(faults.Suffix(".tgz"), faults.Hang())
	r, err := b.get(t, origintest.LargeTarball)
	if err != nil {
		t.Fatal(err)
	}
	origintest.Same(t, "tarball", r.body, large)
	b.settle(t)
	if got := b.reported(); !slices.Contains(got, "A outrun") || slices.Contains(got, "A timeout") || w.B.Count(faults.Path(origintest.LargeTarball)) != 1 {
		t.Errorf("reports %q", got)
	}
	if st := b.Status(); st.Hedged != 1 || st.Retried != 0 || st.Masters[0].InFlight != 0 {
		t.Errorf("%+v", st)
	}
}

// No master that is out is asked before another one has failed.
func TestHedgeAsksWhoIsExpectedToAnswer(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	w.A.Break(faults.Any, faults.Hang())
	b.hedges.saved = 5
	r := newRace(t.Context(), b.Pool, &Request{Route: b.route(aPackument)}, b.Masters(), 1)
	r.askNext()
	<-w.A.Arrived(faults.Any)
	r.hedge()
	if r.end(); r.asked != 1 {
		t.Errorf("%d masters were asked", r.asked)
	}
}

func TestAHedgeThatFailsLeavesTheFirst(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	b.usual()
	gate := faults.NewGate()
	w.A.Break(faults.Any, faults.Hold(gate))
	w.B.Break(faults.Any, faults.Status(503))
	done := make(chan error, 1)
	go func() {
		_, err := b.get(t, aPackument)
		done <- err
	}()
	<-w.B.Arrived(faults.Any)
	gate.Step(1)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := w.A.Count(faults.Any); n != 1 {
		t.Errorf("the first was asked %d times", n)
	}
}

func TestHedgeWaits(t *testing.T) {
	packument := kind.Route{Class: kind.Metadata, Endpoint: "packument"}
	tarball := kind.Route{Class: kind.File, Endpoint: "tarball"}
	for _, tt := range []struct {
		name   string
		ask    Request
		usable int
		waits  []time.Duration
		pref   readPreference
		want   time.Duration
	}{
		{"as long as 95 of 100 take", Request{Route: packument}, 2, slices.Repeat([]time.Duration{time.Second}, enoughWaits), anyMaster, time.Second},
		{"not so short that nobody feels it", Request{Route: packument}, 2, slices.Repeat([]time.Duration{1}, enoughWaits), anyMaster, leastHedge},
		{"half the time there is, with few samples", Request{Route: packument}, 2, slices.Repeat([]time.Duration{1}, enoughWaits-1), anyMaster, 5 * time.Second},
		{"for ever, for what the primary must answer", Request{Route: packument}, 2, nil, primaryAlone, never},
		{"as long as it may, for what can be compared", Request{Route: packument}, 2, nil, primaryCompared, 5 * time.Second},
		{"as long as it may, for a trial of another master", Request{Route: packument}, 2, nil, tryReplica, 5 * time.Second},
		{"for ever, with nobody else", Request{Route: packument}, 1, nil, anyMaster, never},
		{"a second, for a file", Request{Route: tarball}, 2, nil, anyMaster, time.Second},
		{"as long as 99 of 100 files take", Request{Route: tarball}, 2, append(slices.Repeat([]time.Duration{1}, 2), slices.Repeat([]time.Duration{2 * time.Second}, 126)...), anyMaster, 2 * time.Second},
		{"for ever, for a file with nobody else", Request{Route: tarball}, 1, nil, anyMaster, never},
		{"for ever, for a plain file", Request{Route: kind.Route{Class: kind.File, Endpoint: "file", Transparent: true}}, 2, nil, anyMaster, never},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := poolOf("pr", func(c *Config) { c.Timeouts.FirstByte = 10 * time.Second })
			for _, d := range tt.waits {
				p.waits[health.ClassOf(tt.ask.Route)].Add(time.Now(), d)
			}
			if got := p.hedgeAfter(&tt.ask, tt.usable, tt.pref); got != tt.want {
				t.Errorf("waits %v; want %v", got, tt.want)
			}
		})
	}
}

func TestHedgesHaveABudget(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	gate := faults.NewGate()
	w.A.Break(faults.Any, faults.Hold(gate))
	b.hedges.saved = 2
	hedged := 0
	for i := range 5 {
		r := newRace(t.Context(), b.Pool, &Request{Route: b.route(aPackument)}, b.Masters(), len(b.Masters()))
		r.askNext()
		<-w.A.ArrivedTimes(i+1, faults.Any)
		r.hedge()
		hedged += r.asked - 1
		r.end()
	}
	b.settle(t)
	if hedged != 2 {
		t.Errorf("%d hedges, want the 2 that were saved up", hedged)
	}
}
