package pool

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
)

func TestReadsAreShared(t *testing.T) {
	p := poolOf("prr", nil)
	next := 0
	p.cfg.Random = func(n int) int { next++; return next % n }
	first := make(map[string]int)
	for range 300 {
		first[p.asked(Request{})[:1]]++
	}
	for _, letter := range []string{"a", "b", "c"} {
		if n := first[letter]; n < 50 {
			t.Errorf("%s is asked first %d times of 300: %v", letter, n, first)
		}
	}
}

func TestTheLessLoadedIsAskedFirst(t *testing.T) {
	for _, tt := range []struct {
		name  string
		load  func(t *testing.T, p *Pool)
		order string
	}{
		{"equal", func(*testing.T, *Pool) {}, "ab"},
		{"fewer requests", func(t *testing.T, p *Pool) { p.occupy(t, p.named("a"), health.ForMetadata, 1) }, "ba"},
		{"fewer that wait", func(t *testing.T, p *Pool) {
			p.occupy(t, p.named("a"), health.ForMetadata, firstWidth)
			p.occupy(t, p.named("b"), health.ForMetadata, firstWidth)
			p.wait(t, p.named("a"), health.ForMetadata)
		}, "ba"},
		{"requests of another class", func(t *testing.T, p *Pool) { p.occupy(t, p.named("a"), health.ForFiles, firstWidth) }, "ab"},
		{"sooner", func(t *testing.T, p *Pool) { p.named("a").Took(time.Second) }, "ba"},
		{"a little sooner", func(t *testing.T, p *Pool) { p.named("a").Took(latencyFloor) }, "ab"},
		{"sooner, but busy", func(t *testing.T, p *Pool) {
			p.named("a").Took(30 * time.Millisecond)
			p.occupy(t, p.named("b"), health.ForMetadata, 3)
		}, "ab"},
		{"slow long ago", func(t *testing.T, p *Pool) {
			p.named("a").Took(time.Second)
			<-time.After(2 * time.Minute)
		}, "ab"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := poolOf("pr", nil)
				tt.load(t, p)
				if got := p.asked(Request{Route: kind.Route{Class: kind.Metadata}}); got != tt.order {
					t.Errorf("order %q; want %q", got, tt.order)
				}
			})
		})
	}
}

func TestWhatHasAStaleAnswerDoesNotTryTheHopeless(t *testing.T) {
	p := poolOf("pr", nil)
	for range inARow {
		p.Failed(p.Primary(), unanswered)
	}
	if got := p.asked(Request{Stale: true}); got != "b" {
		t.Errorf("order %q; want b", got)
	}
}

// wait has a request wait for a place at a master until the bubble ends.
func (p *Pool) wait(t *testing.T, m *health.Master, c health.Class) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go p.Acquire(ctx, netip.Addr{}, m, c, time.Hour)
	synctest.Wait()
	return func() {
		cancel()
		synctest.Wait()
	}
}

// Early in its slow start a master is mostly passed over.
func TestRecoveringMasterIsMostlyPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("pr", nil)
		p.fail(p.Primary(), inARow)
		<-time.After(time.Minute) // its backoff
		p.cfg.Random = func(n int) int { return n * 9 / 10 }
		if got := p.asked(Request{}); got != "ba" {
			t.Errorf("order %q; want ba", got)
		}
	})
}
