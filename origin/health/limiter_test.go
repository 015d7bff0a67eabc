package health

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// anyone is a client.
var anyone netip.Addr

// visitor is a request that acquires a place in a bubble.
func visitor(t *testing.T, b *Limiter, limit int, patience time.Duration) chan error {
	done := make(chan error, 1)
	go func() { done <- b.acquire(t.Context(), anyone, limit, patience) }()
	synctest.Wait()
	return done
}

func (b *Limiter) is(t *testing.T, inside, waiting int) {
	t.Helper()
	if i, w := b.load(); i != inside || w != waiting {
		t.Errorf("%d inside, %d waiting; want %d and %d", i, w, inside, waiting)
	}
}

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Limiter
		for range 2 {
			if err := <-visitor(t, &b, 2, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		first, second := visitor(t, &b, 2, time.Hour), visitor(t, &b, 2, time.Minute)
		for range maxLine - 2 {
			visitor(t, &b, 2, time.Minute)
		}
		if err := <-visitor(t, &b, 2, time.Hour); !errors.Is(err, ErrBusy) {
			t.Errorf("the queue is full: %v", err)
		}
		b.is(t, 2, maxLine)
		b.release(2)
		if err := <-first; err != nil {
			t.Errorf("the first in the queue: %v", err)
		}
		if err := <-second; !errors.Is(err, ErrBusy) { // after a minute
			t.Errorf("the second, out of patience: %v", err)
		}
		synctest.Wait()
		b.is(t, 2, 0)
		if err := b.acquire(t.Context(), anyone, 2, 0); !errors.Is(err, ErrBusy) {
			t.Errorf("unwilling to wait: %v", err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		third := make(chan error, 1)
		go func() { third <- b.acquire(ctx, anyone, 2, time.Hour) }()
		synctest.Wait()
		cancel(gone)
		if err := <-third; !errors.Is(err, gone) {
			t.Errorf("whose client left: %v", err)
		}
		// Room that has grown meanwhile lets several in.
		fourth, fifth := visitor(t, &b, 2, time.Hour), visitor(t, &b, 2, time.Hour)
		b.release(3)
		if err := errors.Join(<-fourth, <-fifth); err != nil {
			t.Error(err)
		}
		b.is(t, 3, 0)
		// Requests that wait for a master that goes out do so no longer.
		sixth := visitor(t, &b, 2, time.Hour)
		b.dismiss()
		if err := <-sixth; !errors.Is(err, ErrBusy) {
			t.Errorf("sent away: %v", err)
		}
		b.is(t, 3, 0)
	})
}

// A master that has had nothing to do is not sent everything at once.
func TestLimiterOpensSlowly(t *testing.T) {
	const limit = 64
	synctest.Test(t, func(t *testing.T) {
		var b Limiter
		all := make([]chan error, limit+maxLine)
		for i := range all {
			all[i] = visitor(t, &b, limit, 10*time.Second)
		}
		b.is(t, firstWidth, limit+maxLine-firstWidth)
		// As many as ever may come, and not one more.
		if err := <-visitor(t, &b, limit, time.Hour); !errors.Is(err, ErrBusy) {
			t.Errorf("one too many: %v", err)
		}
		// Answers open it, one for one: it doubles with each round of them.
		for inside := firstWidth; inside < limit; inside *= 2 {
			b.is(t, inside, limit+maxLine-2*inside+firstWidth)
			for range inside {
				b.began(limit)
				b.release(limit)
			}
			synctest.Wait()
		}
		b.is(t, limit, limit+maxLine-2*limit+firstWidth)
		b.began(limit)
		b.is(t, limit, limit+maxLine-2*limit+firstWidth)
		for range len(all) - (limit - firstWidth) { // but for those that have left
			b.release(limit)
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
		b.began(limit)
		if width := b.width(limit); width != limit {
			t.Errorf("%d wide while it is used", width)
		}
		for range 33 {
			b.release(limit)
		}
		// and loses half each minute that it is not.
		for _, want := range []int{limit, limit / 2, limit / 4, firstWidth, firstWidth} {
			if err := b.acquire(t.Context(), anyone, limit, 0); err != nil {
				t.Fatal(err)
			}
			if width := b.width(limit); width != want {
				t.Errorf("%d wide, want %d", width, want)
			}
			b.release(limit)
			<-time.After(narrowing)
		}
	})
}

// Answers that take long open it in the time of the slow start, and a request without
// an answer does not open it at all.
func TestLimiterOpensInTheTimeOfTheRamp(t *testing.T) {
	const limit = 64
	synctest.Test(t, func(t *testing.T) {
		var b Limiter
		for range firstWidth {
			visitor(t, &b, limit, 0)
		}
		for range 2 * firstWidth { // always one that waits
			visitor(t, &b, limit, time.Hour)
		}
		for range firstWidth {
			<-time.After(slowStart / firstWidth)
			b.release(limit)
		}
		if width := b.width(limit); width != firstWidth {
			t.Errorf("%d wide, and not one answer", width)
		}
		if b.began(limit); b.width(limit) != firstWidth+1 {
			t.Errorf("%d wide after the first one; what came before counts for nothing", b.width(limit))
		}
		<-time.After(slowStart)
		b.began(limit)
		if width := b.width(limit); width != limit {
			t.Errorf("%d wide after %s", width, slowStart)
		}
	})
}

// Requests that a limiter does not delay do not open it.
func TestLimiterThatIsNotFullStaysAsItIs(t *testing.T) {
	const limit = 256
	synctest.Test(t, func(t *testing.T) {
		var quiet Limiter // one request a second
		for range 300 {
			if err := quiet.acquire(t.Context(), anyone, limit, 0); err != nil {
				t.Fatal(err)
			}
			quiet.began(limit)
			quiet.release(limit)
			<-time.After(time.Second)
		}
		if width := quiet.width(limit); width != firstWidth {
			t.Errorf("%d wide after five minutes with one request at a time", width)
		}
		enter := func(b *Limiter, n int) {
			for range n {
				if err := b.acquire(t.Context(), anyone, limit, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		var long Limiter // downloads
		enter(&long, firstWidth/2)
		long.began(limit)
		<-time.After(slowStart)
		long.began(limit)
		if width := long.width(limit); width != firstWidth {
			t.Errorf("%d wide, and half full for %s", width, slowStart)
		}
		enter(&long, 1)
		<-time.After(slowStart)
		long.began(limit)
		if width := long.width(limit); width != firstWidth+1 {
			t.Errorf("%d wide after one answer while it was more than half full", width)
		}
		// Time counts from when it is full.
		enter(&long, firstWidth/2)
		<-time.After(slowStart / 4)
		long.began(limit)
		if width := long.width(limit); width != firstWidth+1+1+limit/4 {
			t.Errorf("%d wide after %s", width, slowStart/4)
		}
	})
}

// The wait for a place is as long as it may be. It ends with a place,
// if there is one but for the slow opening.
func TestLimiterRefusesNobodyForOpeningSlowly(t *testing.T) {
	const limit, patience = 64, 3 * time.Second
	synctest.Test(t, func(t *testing.T) {
		var b Limiter
		for range firstWidth {
			visitor(t, &b, limit, 0)
		}
		if err := b.acquire(t.Context(), anyone, limit, 0); !errors.Is(err, ErrBusy) {
			t.Errorf("unwilling to wait: %v", err)
		}
		rest := make([]chan error, limit-firstWidth)
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
		if err := <-last; !errors.Is(err, ErrBusy) {
			t.Errorf("without one: %v", err)
		}
		if waited := time.Since(begun); waited != patience {
			t.Errorf("waited %s", waited)
		}
		b.is(t, limit, 0)
		for range limit {
			b.release(limit)
		}
		b.is(t, 0, 0)
	})
}

func TestLatency(t *testing.T) {
	var l Latency
	now := time.Now()
	if l.Average(now) != 0 || l.Percentile(95, 0) != 0 {
		t.Error("nothing is known, and is told")
	}
	for i := range 100 {
		l.Add(now, time.Duration(i+1)*time.Millisecond)
	}
	if l.Percentile(95, 101) != 0 {
		t.Error("too few samples are enough")
	}
	if got := l.Percentile(95, 100); got != 96*time.Millisecond {
		t.Errorf("p95 = %v", got)
	}
	if got := l.Average(now).Round(time.Millisecond); got < 90*time.Millisecond || got > 100*time.Millisecond {
		t.Errorf("average %v; want that of the newest", got)
	}
	whole := l.Average(now)
	if half := l.Average(now.Add(halfLife)); half < whole*49/100 || half > whole*51/100 {
		t.Errorf("after its half-life %v of %v", half, whole)
	}
	for range 2 * samples {
		l.Add(now, time.Second)
	}
	if got := l.Percentile(95, 1); got != time.Second {
		t.Errorf("old samples count: p95 = %v", got)
	}
}
