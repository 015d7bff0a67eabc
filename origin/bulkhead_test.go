package origin

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// visitor is one who enters a bulkhead in a bubble.
func visitor(t *testing.T, b *bulkhead, limit int, patience time.Duration) chan error {
	done := make(chan error, 1)
	go func() { done <- b.enter(t.Context(), limit, patience) }()
	synctest.Wait()
	return done
}

func (b *bulkhead) is(t *testing.T, inside, waiting int) {
	t.Helper()
	if i, w := b.load(); i != inside || w != waiting {
		t.Errorf("%d inside, %d waiting; want %d and %d", i, w, inside, waiting)
	}
}

func TestBulkhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bulkhead
		for range 2 {
			if err := <-visitor(t, &b, 2, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		first, second := visitor(t, &b, 2, time.Hour), visitor(t, &b, 2, time.Minute)
		for range maxQueue - 2 {
			visitor(t, &b, 2, time.Minute)
		}
		if err := <-visitor(t, &b, 2, time.Hour); !errors.Is(err, errBusy) {
			t.Errorf("the queue is full: %v", err)
		}
		b.is(t, 2, maxQueue)
		b.leave(2)
		if err := <-first; err != nil {
			t.Errorf("the first in the queue: %v", err)
		}
		if err := <-second; !errors.Is(err, errBusy) { // after a minute
			t.Errorf("the second, out of patience: %v", err)
		}
		synctest.Wait()
		b.is(t, 2, 0)
		if err := b.enter(t.Context(), 2, 0); !errors.Is(err, errBusy) {
			t.Errorf("unwilling to wait: %v", err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		third := make(chan error, 1)
		go func() { third <- b.enter(ctx, 2, time.Hour) }()
		synctest.Wait()
		cancel(gone)
		if err := <-third; !errors.Is(err, gone) {
			t.Errorf("whose client left: %v", err)
		}
		// Room that has grown meanwhile lets several in.
		fourth, fifth := visitor(t, &b, 2, time.Hour), visitor(t, &b, 2, time.Hour)
		b.leave(3)
		if err := errors.Join(<-fourth, <-fifth); err != nil {
			t.Error(err)
		}
		b.is(t, 3, 0)
		// Those who wait for a master that goes out do so no longer.
		sixth := visitor(t, &b, 2, time.Hour)
		b.dismiss()
		if err := <-sixth; !errors.Is(err, errBusy) {
			t.Errorf("sent away: %v", err)
		}
		b.is(t, 3, 0)
	})
}

// A master that has had nothing to do is not sent everything at once.
func TestBulkheadOpensSlowly(t *testing.T) {
	const limit = 64
	synctest.Test(t, func(t *testing.T) {
		var b bulkhead
		all := make([]chan error, limit+maxQueue)
		for i := range all {
			all[i] = visitor(t, &b, limit, 10*time.Second)
		}
		b.is(t, firstRoom, limit+maxQueue-firstRoom)
		// As many as ever may come, and not one more.
		if err := <-visitor(t, &b, limit, time.Hour); !errors.Is(err, errBusy) {
			t.Errorf("one too many: %v", err)
		}
		// Answers open it, one for one: it doubles with each round of them.
		for inside := firstRoom; inside < limit; inside *= 2 {
			b.is(t, inside, limit+maxQueue-2*inside+firstRoom)
			for range inside {
				b.answered(limit)
				b.leave(limit)
			}
			synctest.Wait()
		}
		b.is(t, limit, limit+maxQueue-2*limit+firstRoom)
		b.answered(limit)
		b.is(t, limit, limit+maxQueue-2*limit+firstRoom)
		for range len(all) - (limit - firstRoom) { // but for those who have left
			b.leave(limit)
		}
		for _, done := range all {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		// It stays as it is while it is used,
		for range 33 {
			visitor(t, &b, limit, 0)
		}
		<-time.After(2 * narrowing)
		b.answered(limit)
		if width := b.width(limit); width != limit {
			t.Errorf("%d wide while it is used", width)
		}
		for range 33 {
			b.leave(limit)
		}
		// and loses half each minute that it is not.
		for _, want := range []int{limit, limit / 2, limit / 4, firstRoom, firstRoom} {
			if err := b.enter(t.Context(), limit, 0); err != nil {
				t.Fatal(err)
			}
			if width := b.width(limit); width != want {
				t.Errorf("%d wide, want %d", width, want)
			}
			b.leave(limit)
			<-time.After(narrowing)
		}
	})
}

// Answers that take long open it in the time of the ramp, and what comes without
// an answer does not open it at all.
func TestBulkheadOpensInTheTimeOfTheRamp(t *testing.T) {
	const limit = 64
	synctest.Test(t, func(t *testing.T) {
		var b bulkhead
		for range firstRoom {
			visitor(t, &b, limit, 0)
		}
		for range 2 * firstRoom { // always one who waits
			visitor(t, &b, limit, time.Hour)
		}
		for range firstRoom {
			<-time.After(ramp / firstRoom)
			b.leave(limit)
		}
		if width := b.width(limit); width != firstRoom {
			t.Errorf("%d wide, and not one answer", width)
		}
		if b.answered(limit); b.width(limit) != firstRoom+1 {
			t.Errorf("%d wide after the first one; what came before counts for nothing", b.width(limit))
		}
		<-time.After(ramp)
		b.answered(limit)
		if width := b.width(limit); width != limit {
			t.Errorf("%d wide after %s", width, ramp)
		}
	})
}

// What a bulkhead does not hold back does not open it.
func TestBulkheadThatIsNotFullStaysAsItIs(t *testing.T) {
	const limit = 256
	synctest.Test(t, func(t *testing.T) {
		var quiet bulkhead // one request a second
		for range 300 {
			if err := quiet.enter(t.Context(), limit, 0); err != nil {
				t.Fatal(err)
			}
			quiet.answered(limit)
			quiet.leave(limit)
			<-time.After(time.Second)
		}
		if width := quiet.width(limit); width != firstRoom {
			t.Errorf("%d wide after five minutes with one request at a time", width)
		}
		enter := func(b *bulkhead, n int) {
			for range n {
				if err := b.enter(t.Context(), limit, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		var long bulkhead // downloads
		enter(&long, firstRoom/2)
		long.answered(limit)
		<-time.After(ramp)
		long.answered(limit)
		if width := long.width(limit); width != firstRoom {
			t.Errorf("%d wide, and half full for %s", width, ramp)
		}
		enter(&long, 1)
		<-time.After(ramp)
		long.answered(limit)
		if width := long.width(limit); width != firstRoom+1 {
			t.Errorf("%d wide after one answer while it was more than half full", width)
		}
		// Time counts from when it is full.
		enter(&long, firstRoom/2)
		<-time.After(ramp / 4)
		long.answered(limit)
		if width := long.width(limit); width != firstRoom+1+1+limit/4 {
			t.Errorf("%d wide after %s", width, ramp/4)
		}
	})
}

// The wait for a place is what it was asked to be, and what ends it is a place,
// if there is one but for the slow opening.
func TestBulkheadRefusesNobodyForOpeningSlowly(t *testing.T) {
	const limit, patience = 64, 3 * time.Second
	synctest.Test(t, func(t *testing.T) {
		var b bulkhead
		for range firstRoom {
			visitor(t, &b, limit, 0)
		}
		if err := b.enter(t.Context(), limit, 0); !errors.Is(err, errBusy) {
			t.Errorf("unwilling to wait: %v", err)
		}
		rest := make([]chan error, limit-firstRoom)
		for i := range rest {
			rest[i] = visitor(t, &b, limit, patience)
		}
		<-time.After(time.Millisecond)
		begun := time.Now()
		last := visitor(t, &b, limit, patience)
		for _, done := range rest {
			if err := <-done; err != nil {
				t.Fatalf("with a place left: %v", err)
			}
		}
		if err := <-last; !errors.Is(err, errBusy) {
			t.Errorf("without one: %v", err)
		}
		if waited := time.Since(begun); waited != patience {
			t.Errorf("waited %s", waited)
		}
		b.is(t, limit, 0)
		for range limit {
			b.leave(limit)
		}
		b.is(t, 0, 0)
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
	if l.average(now) != 0 || l.percentile(95, 0) != 0 {
		t.Error("nothing is known, and is told")
	}
	for i := range 100 {
		l.add(now, time.Duration(i+1)*time.Millisecond)
	}
	if l.percentile(95, 101) != 0 {
		t.Error("too few samples are enough")
	}
	if got := l.percentile(95, 100); got != 96*time.Millisecond {
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
	if got := l.percentile(95, 1); got != time.Second {
		t.Errorf("old samples count: p95 = %v", got)
	}
}
