package origin

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBulkhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bulkhead
		enter := func(ctx context.Context, patience time.Duration) chan error {
			done := make(chan error, 1)
			go func() { done <- b.enter(ctx, 2, 2, patience) }()
			synctest.Wait()
			return done
		}
		for range 2 {
			if err := <-enter(t.Context(), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		first, second := enter(t.Context(), time.Hour), enter(t.Context(), time.Minute)
		if err := <-enter(t.Context(), time.Hour); !errors.Is(err, errBusy) {
			t.Errorf("the queue is full: %v", err)
		}
		if err := b.enter(t.Context(), 2, 0, time.Hour); !errors.Is(err, errBusy) {
			t.Errorf("unwilling to wait: %v", err)
		}
		if b.inside() != 2 || b.waiting() != 2 {
			t.Errorf("%d inside, %d waiting", b.inside(), b.waiting())
		}
		b.leave(2)
		if err := <-first; err != nil {
			t.Errorf("the first in the queue: %v", err)
		}
		if err := <-second; !errors.Is(err, errBusy) { // after a minute
			t.Errorf("the second, out of patience: %v", err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		third := enter(ctx, time.Hour)
		cancel(gone)
		if err := <-third; !errors.Is(err, gone) {
			t.Errorf("whose client left: %v", err)
		}
		// Room that has grown meanwhile lets several in.
		fourth, fifth := enter(t.Context(), time.Hour), enter(t.Context(), time.Hour)
		b.leave(3)
		if err := errors.Join(<-fourth, <-fifth); err != nil || b.inside() != 3 || b.waiting() != 0 {
			t.Errorf("%v, %d inside, %d waiting", err, b.inside(), b.waiting())
		}
	})
}

func TestBudget(t *testing.T) {
	now := time.Now()
	b := &budget{share: 0.1, perSecond: 2, most: 4, saved: 4}
	spend := func(n int, leave float64) (spent int) {
		for range n {
			if b.spend(now, leave) {
				spent++
			}
		}
		return spent
	}
	for _, tt := range []struct {
		what        string
		requests    int
		after       time.Duration
		leave       float64
		tries, want int
	}{
		{"what was saved up, but for a half", 0, 0, 0.5, 9, 2},
		{"all of it", 0, 0, 0, 9, 2},
		{"nothing more", 0, 0, 0, 9, 0},
		{"a tenth of the requests", 20, 0, 0, 9, 2},
		{"a little each second", 0, time.Second, 0, 9, 2},
		{"no more than can be saved up", 1000, time.Hour, 0, 9, 4},
	} {
		now = now.Add(tt.after)
		for range tt.requests {
			b.earn(now)
		}
		if got := spend(tt.tries, tt.leave); got != tt.want {
			t.Errorf("%s: %d of %d; want %d", tt.what, got, tt.tries, tt.want)
		}
	}
}

func TestLatency(t *testing.T) {
	var l latency
	now := time.Now()
	if l.average(now) != 0 || l.p95(0) != 0 {
		t.Error("nothing is known, and is told")
	}
	for i := range 100 {
		l.add(now, time.Duration(i+1)*time.Millisecond)
	}
	if l.p95(101) != 0 {
		t.Error("too few samples are enough")
	}
	if got := l.p95(100); got != 96*time.Millisecond {
		t.Errorf("p95 = %v", got)
	}
	if got := l.average(now).Round(time.Millisecond); got < 90*time.Millisecond || got > 100*time.Millisecond {
		t.Errorf("average %v; want that of the newest", got)
	}
	whole := l.average(now)
	if half := l.average(now.Add(halfLife)); half < whole*49/100 || half > whole*51/100 {
		t.Errorf("after its half-life %v of %v", half, whole)
	}
	for range 2 * samples {
		l.add(now, time.Second)
	}
	if got := l.p95(1); got != time.Second {
		t.Errorf("old samples count: p95 = %v", got)
	}
}
