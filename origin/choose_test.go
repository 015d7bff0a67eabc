package origin

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/kind"
)

func TestReadsAreShared(t *testing.T) {
	p := poolOf("prr", nil)
	next := 0
	p.random = func(n int) int { next++; return next % n }
	first := make(map[string]int)
	for range 300 {
		first[p.asked(Ask{})[:1]]++
	}
	for _, letter := range []string{"a", "b", "c"} {
		if n := first[letter]; n < 50 {
			t.Errorf("%s is asked first %d times of 300: %v", letter, n, first)
		}
	}
}

func TestTheLessLoadedIsAskedFirst(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name  string
		load  func(p *pool)
		order string
	}{
		{"equal", func(*pool) {}, "ab"},
		{"fewer requests", func(p *pool) { p.called("a").rooms[forMetadata].busy = 1 }, "ba"},
		{"requests of another class", func(p *pool) { p.called("a").rooms[forFiles].busy = 9 }, "ab"},
		{"sooner", func(p *pool) { p.called("a").latency.add(now, time.Second) }, "ba"},
		{"a little sooner", func(p *pool) { p.called("a").latency.add(now, near) }, "ab"},
		{"sooner, but busy", func(p *pool) {
			p.called("a").latency.add(now, 30*time.Millisecond)
			p.called("b").rooms[forMetadata].busy = 3
		}, "ab"},
		{"slow long ago", func(p *pool) { p.called("a").latency.add(now.Add(-10*halfLife), time.Second) }, "ab"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := poolOf("pr", nil)
			tt.load(p)
			if got := p.asked(Ask{Route: kind.Route{Class: kind.Metadata}}); got != tt.order {
				t.Errorf("order %q; want %q", got, tt.order)
			}
		})
	}
}

func TestWhatHasAStaleAnswerDoesNotTryTheHopeless(t *testing.T) {
	p := poolOf("pr", nil)
	for range inARow {
		p.failed(p.primary(), unanswered)
	}
	if got := p.asked(Ask{Stale: true}); got != "b" {
		t.Errorf("order %q; want b", got)
	}
}

// Whoever wrote reads its own write.
func TestWrittenIsReadFromThePrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("prr", nil)
		s := &Site{pool: p, files: p}
		p.random = func(n int) int { return n - 1 } // c before b, and both before a
		one := kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}
		tags := kind.Route{Class: kind.Metadata, Key: "dist-tags/one"}
		other := kind.Route{Class: kind.Metadata, Group: "other", Key: "packument/other"}
		if got := p.asked(Ask{Route: one}); got != "cab" {
			t.Fatalf("order %q before the write; want cab", got)
		}
		s.Wrote([]kind.Mark{{Scope: kind.GroupMetadata, Name: "one"}, {Scope: kind.OneKey, Name: "dist-tags/one"}})
		for _, tt := range []struct {
			route kind.Route
			order string
		}{{one, "acb"}, {tags, "acb"}, {other, "cab"}} {
			if got := p.asked(Ask{Route: tt.route}); got != tt.order || s.Written(tt.route) != (tt.order == "acb") {
				t.Errorf("%s: order %q; want %q", tt.route.Key, got, tt.order)
			}
		}
		for range inARow {
			p.failed(p.primary(), unanswered)
		}
		if got := p.asked(Ask{Route: one}); got != "cb|a" {
			t.Errorf("order %q while the primary is out; want cb|a", got)
		}
		<-time.After(pinned)
		if got := p.asked(Ask{Route: one}); got[:1] == "a" || s.Written(one) {
			t.Errorf("order %q after a minute", got)
		}
	})
}

func TestPinsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pins
		for i := range 2 * maxPins {
			p.add(fmt.Sprint(i), time.Now())
		}
		if len(p.until) > maxPins || !p.has(kind.Route{Group: fmt.Sprint(2*maxPins - 1)}, time.Now()) {
			t.Errorf("%d pins, the last one missing or too many", len(p.until))
		}
		<-time.After(pinned + time.Second)
		p.add("new", time.Now())
		if len(p.until) != 1 {
			t.Errorf("%d pins are left, want the new one", len(p.until))
		}
	})
}
