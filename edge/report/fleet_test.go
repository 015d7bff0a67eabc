package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/fleet/figures"
)

// A log of purges that is not live is an urgent problem: old bytes may be served.
func TestTheProblemsOfAFleet(t *testing.T) {
	s := quietStatus()
	s.Fleet = &Fleet{
		Name: "a", Pop: "p", Log: &figures.Log{Live: true, Place: 7},
		Edges:    []figures.Edge{{Name: "a", Live: true}, {Name: "b\x1b", Live: true}},
		Siblings: &figures.Siblings{Members: []figures.Member{{Address: "10.0.0.1:1", State: "self", Share: 0.5}, {Address: "10.0.0.2:1", State: "well", Share: 0.5}}},
	}
	if all := s.Problems(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	if text := s.Text(); !strings.Contains(text, "members  10.0.0.1:1 (self, owner of 50 %), 10.0.0.2:1 (well, owner of 50 %)") || strings.Contains(text, "\x1b") {
		t.Error(text)
	}
	s.Fleet.Log = &figures.Log{Why: "no answer in time", Since: before(time.Minute), Outbox: 2}
	s.Fleet.Edges[1].Away, s.Fleet.Edges[1].Heard = true, before(time.Hour)
	s.Fleet.Siblings.Members[1].State = "out"
	var got []string
	for _, p := range s.Problems() {
		got = append(got, p.Mark()+" "+p.Text)
	}
	for _, want := range []string{
		"!! fleet: the log of purges is not live for 1m: purges of other edges may be missing, and lifetimes fall back (no answer in time)",
		"! fleet: 2 purges of this edge not yet in the log",
		"! fleet: the edge at 10.0.0.2:1 does not answer, and its packages have other owners",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not among %q", want, got)
		}
	}
}
