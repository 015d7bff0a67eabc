package daemon

import (
	"testing"

	"pkgedge/edge/admin"
	"pkgedge/edge/edgetest"
	"pkgedge/origin/sample/faults"
)

// An operator learns how much a purge covers: a typo, a pattern and another host's URL
// once looked like a purge.
func TestPurgeSaysHowMuchItCovers(t *testing.T) {
	for name, disk := range map[string]bool{"memory": false, "disk": true} {
		t.Run(name, func(t *testing.T) {
			b := newBehindTwoOn(t, "", disk)
			fill := func() {
				for _, path := range []string{"/edge-sample-words", "/edge-sample-words/-/edge-sample-words-1.0.0.tgz", "/@edge-sample%2fcolour"} {
					b.want(b.read(path), 200)
				}
				b.edge.settle(t)
			}
			fill()
			for _, tt := range []struct {
				what admin.Purge
				want int
			}{
				{admin.Purge{Package: "edge-sample-wrods"}, 0},
				{admin.Purge{Package: "edge-sample-words", DryRun: true}, 2},
				{admin.Purge{Package: "*", DryRun: true}, 2},
				{admin.Purge{Package: "@edge-sample/*", DryRun: true}, 1},
				{admin.Purge{Package: "@*/*", Soft: true}, 1},
				{admin.Purge{URL: "/edge-sample-words", Soft: true}, 1},
				{admin.Purge{URL: "http://elsewhere.example/other/path"}, 0},
				{admin.Purge{All: true, DryRun: true}, 3},
				{admin.Purge{Site: "npm", DryRun: true}, 3},
				{admin.Purge{Package: "edge-*"}, 2},
				{admin.Purge{Package: "edge-*"}, 0},
				{admin.Purge{Package: "edge-sample-words"}, 0},
				{admin.Purge{All: true}, 1},
				{admin.Purge{All: true}, 0},
			} {
				done, err := (purger{b.edge.Daemon}).Purge(t.Context(), tt.what)
				if err != nil || done != (admin.Purged{Responses: tt.want, Whole: true}) {
					t.Errorf("%+v covers %+v, %v; want %d", tt.what, done, err, tt.want)
				}
			}
		})
	}
}

func TestPurgeByPatternIsInForce(t *testing.T) {
	b := newBehindTwo(t, "")
	b.want(b.read("/edge-sample-words"), 200)
	b.want(b.read("/@edge-sample%2fcolour"), 200)
	if _, err := (purger{b.edge.Daemon}).Purge(t.Context(), admin.Purge{Package: "edge-*"}); err != nil {
		t.Fatal(err)
	}
	for _, m := range b.masters {
		m.Break(func(faults.Record) bool { return true }, faults.Status(500))
	}
	b.want(b.read("/edge-sample-words"), 503)
	b.want(b.read("/@edge-sample%2fcolour"), 200)
}

func TestPurgeOfAFetchUnderWayIsNoMistake(t *testing.T) {
	b := newBehindTwo(t, "")
	gate := faults.NewGate()
	for _, m := range b.masters {
		m.Break(func(r faults.Record) bool { return r.Path == "/edge-sample-words" }, faults.Hold(gate))
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		b.send("GET", "/edge-sample-words")
	}()
	edgetest.Until(t, "a fetch", func() bool { return b.edge.cache.Usage().Flights == 1 })
	for _, name := range []string{"edge-sample-words", "edge-*"} {
		done, err := (purger{b.edge.Daemon}).Purge(t.Context(), admin.Purge{Package: name})
		if err != nil || done != (admin.Purged{Fetches: 1, Whole: true}) || done.None() {
			t.Errorf("%s covers %+v, %v; want a fetch", name, done, err)
		}
	}
	gate.Open()
	<-answered
}
