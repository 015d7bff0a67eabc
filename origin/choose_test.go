package origin

import (
	"testing"
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
		{"fewer that wait", func(p *pool) {
			p.called("a").rooms[forMetadata].busy, p.called("b").rooms[forMetadata].busy = 1, 1
			p.called("a").rooms[forMetadata].queue = []*waiter{{}}
		}, "ba"},
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
