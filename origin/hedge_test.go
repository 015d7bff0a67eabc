package origin

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/sample/faults"
)

// usual makes the p95 of metadata known, and short.
func (b *behind) usual() {
	for range enoughWaits {
		b.pool.waits[forMetadata].add(time.Now(), time.Millisecond)
	}
}

func TestSlowMetadataIsAskedOfAnotherMasterToo(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	b.usual()
	w.a.Break(faults.Any, faults.Hang())
	r, err := b.get(t, aPackument)
	if err != nil || r.status != http.StatusOK {
		t.Fatalf("%d, %v", r.status, err)
	}
	b.pool.asking.Wait()
	equal(t, "reports", b.reported(), []string{"B 200", "A outrun"})
	if st := b.Status()[0]; st.Hedged != 1 || st.Retried != 0 {
		t.Errorf("%d hedged, %d retried; want 1 and 0", st.Hedged, st.Retried)
	}
	// That is held against it, as any other failure.
	if row := b.pool.primary().row; row != 1 {
		t.Errorf("%d failures in a row", row)
	}
}

// A file that a master has just begun to hang on is asked of another one long
// before the first is given up; and of nobody else when it answers.
func TestSlowFileIsAskedOfAnotherMasterToo(t *testing.T) {
	t.Parallel() // it takes leastFileHedge
	w := newTwo(t)
	large := w.withLarge(t)
	b := newBehind(t, w.bothURLs)
	if _, err := b.get(t, aTarball); err != nil || w.b.Count(faults.Any) != 0 {
		t.Fatalf("%v; the second master was asked %d times while the first was well", err, w.b.Count(faults.Any))
	}
	w.a.Break(faults.Suffix(".tgz"), faults.Hang())
	r, err := b.get(t, largeTarball)
	if err != nil || r.responds != 1 {
		t.Fatalf("%d responses, %v", r.responds, err)
	}
	same(t, "tarball", r.body, large)
	b.pool.asking.Wait()
	if got := b.reported(); !slices.Contains(got, "A outrun") || slices.Contains(got, "A timeout") || w.b.Count(faults.Path(largeTarball)) != 1 {
		t.Errorf("reports %q", got)
	}
	if st := b.Status()[0]; st.Hedged != 1 || st.Retried != 0 || st.Masters[0].InFlight != 0 {
		t.Errorf("%+v", st)
	}
}

// Nobody who is out is asked before somebody has failed.
func TestHedgeAsksWhoIsExpectedToAnswer(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	w.a.Break(faults.Any, faults.Hang())
	b.pool.hedges.saved = 5
	r := newRound(t.Context(), b.pool, Ask{Route: b.route(aPackument)}, b.pool.masters, 1)
	r.ask()
	<-w.a.Arrived(faults.Any)
	r.hedge()
	if r.end(); r.asked != 1 {
		t.Errorf("%d masters were asked", r.asked)
	}
}

func TestAHedgeThatFailsLeavesTheFirst(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	b.usual()
	gate := faults.NewGate()
	w.a.Break(faults.Any, faults.Hold(gate))
	w.b.Break(faults.Any, faults.Status(503))
	done := make(chan error, 1)
	go func() {
		_, err := b.get(t, aPackument)
		done <- err
	}()
	<-w.b.Arrived(faults.Any)
	gate.Step(1)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := w.a.Count(faults.Any); n != 1 {
		t.Errorf("the first was asked %d times", n)
	}
}

func TestHedgeWaits(t *testing.T) {
	packument := kind.Route{Class: kind.Metadata, Endpoint: "packument"}
	tarball := kind.Route{Class: kind.File, Endpoint: "tarball"}
	for _, tt := range []struct {
		name   string
		ask    Ask
		usable int
		waits  []time.Duration
		way    stance
		want   time.Duration
	}{
		{"as long as 95 of 100 take", Ask{Route: packument}, 2, slices.Repeat([]time.Duration{time.Second}, enoughWaits), free, time.Second},
		{"not so short that nobody feels it", Ask{Route: packument}, 2, slices.Repeat([]time.Duration{1}, enoughWaits), free, leastHedge},
		{"half the time there is, with few samples", Ask{Route: packument}, 2, slices.Repeat([]time.Duration{1}, enoughWaits-1), free, 5 * time.Second},
		{"for ever, for what the primary must answer", Ask{Route: packument}, 2, nil, first, never},
		{"as long as it may, for what can be compared", Ask{Route: packument}, 2, nil, compared, 5 * time.Second},
		{"as long as it may, for a trial of another master", Ask{Route: packument}, 2, nil, tried, 5 * time.Second},
		{"for ever, with nobody else", Ask{Route: packument}, 1, nil, free, never},
		{"a second, for a file", Ask{Route: tarball}, 2, nil, free, time.Second},
		{"as long as 99 of 100 files take", Ask{Route: tarball}, 2, append(slices.Repeat([]time.Duration{1}, 2), slices.Repeat([]time.Duration{2 * time.Second}, 126)...), free, 2 * time.Second},
		{"for ever, for a file with nobody else", Ask{Route: tarball}, 1, nil, free, never},
		{"for ever, for a plain file", Ask{Route: kind.Route{Class: kind.File, Endpoint: "file", Transparent: true}}, 2, nil, free, never},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := poolOf("pr", func(c *Config) { c.Timeouts.FirstByte = 10 * time.Second })
			for _, d := range tt.waits {
				p.waits[classOf(tt.ask.Route)].add(time.Now(), d)
			}
			if got := p.hedgeAfter(&tt.ask, tt.usable, tt.way); got != tt.want {
				t.Errorf("waits %v; want %v", got, tt.want)
			}
		})
	}
}

func TestHedgesHaveABudget(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	gate := faults.NewGate()
	w.a.Break(faults.Any, faults.Hold(gate))
	b.pool.hedges.saved = 2
	hedged := 0
	for range 5 {
		r := newRound(t.Context(), b.pool, Ask{Route: b.route(aPackument)}, b.pool.masters, len(b.pool.masters))
		r.ask()
		<-w.a.Arrived(faults.Any)
		r.hedge()
		hedged += r.asked - 1
		r.end()
	}
	b.pool.asking.Wait()
	if hedged != 2 {
		t.Errorf("%d hedges, want the 2 that were saved up", hedged)
	}
}
