package health

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"pkgedge/origin/kind"
)

// ErrBusy: a master has as many requests as it may have, and as many wait.
var ErrBusy = errors.New("has too many requests already")

// errWaited is an ErrBusy after the longest wait.
var errWaited = fmt.Errorf("%w", ErrBusy)

// Limiter bounds the requests of one class that one master has at a time, so
// that trouble with files leaves places for metadata, and the other way round.
// Requests that find it full wait in a queue, in which clients take turns, and which is
// bounded too.
//
// It opens slowly: a master that has had little to do is not sent everything at
// once by an edge whose cache is empty. It begins with firstWidth. While it is more
// than half full it grows by one with each answer that begins, and while it is full
// in slowStart in any case, if answers come; a limit that delays nothing teaches
// it nothing. It shrinks again when it is not used (as a congestion window does,
// RFC 5681 and RFC 7661).
//
// It delays, and refuses nobody for its slow opening: a request that would be refused
// only because it has not grown enough yet is let in.
type Limiter struct {
	mu    sync.Mutex
	busy  int
	queue queue

	open  int       // how many it has grown to take, 0 before the first
	since time.Time // while it is full: from when on time counts towards its growth
	used  time.Time // when more than half of that was last in use
}

// Class tells apart the requests that have a limiter of their own at a master.
type Class uint8

const (
	ForMetadata Class = iota
	ForFiles
	ForPass
	classes
)

// ClassOf is the class of a route's requests.
func ClassOf(r kind.Route) Class {
	switch r.Class {
	case kind.Metadata:
		return ForMetadata
	case kind.File:
		return ForFiles
	}
	return ForPass
}

// maxConcurrent is how many requests a master has at a time, by class. They are far more
// than a healthy master needs. A master that hangs fills them, or an edge that comes
// back with an empty cache.
var maxConcurrent = [classes]int{ForMetadata: 64, ForFiles: 256, ForPass: 128}

const (
	// leastWidth is the limit at a master that has just come back, see slowStart.
	leastWidth = 4
	// firstWidth is how far a limiter is open at first.
	firstWidth = 8
	// narrowing is how long a limiter goes without being half full before it loses
	// half of its width.
	narrowing = time.Minute
)

// acquire takes a place of at most limit for a client. Where there is none it waits up to
// longest, and not at all with none of that. The error is ErrBusy or ctx's
// cause.
func (l *Limiter) acquire(ctx context.Context, client netip.Addr, limit int, longest time.Duration) error {
	l.mu.Lock()
	l.shrink(time.Now())
	width := l.width(limit)
	if l.busy < width && l.queue.n == 0 {
		l.add(limit)
		l.mu.Unlock()
		return nil
	}
	var w *waiter
	if longest > 0 {
		w = l.queue.push(client, limit-width)
	}
	l.mu.Unlock()
	if w == nil {
		return ErrBusy
	}

	late := time.NewTimer(longest)
	defer late.Stop()
	err := errWaited
	select {
	case <-w.ready:
		return w.result()
	case <-late.C:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.queue.remove(w) {
		return w.result() // it became ready at the same moment
	}
	if err == errWaited && l.busy < limit {
		l.add(limit)
		return nil
	}
	return err
}

// enter takes a place of at most limit at once, before all that wait.
func (l *Limiter) enter(limit int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy >= limit {
		return ErrBusy
	}
	l.add(limit)
	return nil
}

// width is how many of limit may be inside. l.mu is held.
func (l *Limiter) width(limit int) int { return min(limit, max(l.open, firstWidth)) }

// add counts one in. l.mu is held.
func (l *Limiter) add(limit int) {
	now := time.Now()
	l.busy++
	l.shrink(now)
	if l.busy == l.width(limit) {
		l.since = now // it was not full before
	}
}

// shrink halves a width that has not been used for long. l.mu is held.
func (l *Limiter) shrink(now time.Time) {
	if 2*l.busy > l.open {
		l.used = now
	}
	for l.open > firstWidth && now.Sub(l.used) >= narrowing {
		l.open = max(l.open/2, firstWidth)
		l.used = l.used.Add(narrowing)
	}
}

// began says that the master has begun to answer one of the requests inside.
func (l *Limiter) began(limit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	width, gained := l.width(limit), 0
	if 2*l.busy > width {
		gained = 1
	}
	if now := time.Now(); l.busy >= width {
		gained += int(float64(limit) * float64(now.Sub(l.since)) / float64(slowStart))
		l.since = now
	}
	l.open = max(l.open, min(limit, width+gained))
	l.admit(limit)
}

// release gives a place back.
func (l *Limiter) release(limit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.shrink(now)
	l.busy--
	l.since = now // a request without an answer has taught nothing
	l.admit(limit)
}

// admit lets waiting requests in, as far as there are places. l.mu is held.
func (l *Limiter) admit(limit int) {
	for l.queue.n > 0 && l.busy < l.width(limit) {
		l.add(limit)
		l.queue.pop().leave(false)
	}
}

// dismiss refuses all waiting requests: the master is out, and another one may answer
// them.
func (l *Limiter) dismiss() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := l.queue.pop(); w != nil; w = l.queue.pop() {
		w.leave(true)
	}
}

// load is how many are inside and how many wait.
func (l *Limiter) load() (inside, waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy, l.queue.n
}

// Latency is how long first bytes take: an average that forgets, to choose by,
// and the last of the samples, to tell an unusual wait.
type Latency struct {
	mu     sync.Mutex
	mean   float64 // seconds
	at     time.Time
	recent [samples]time.Duration
	n      int // samples ever
}

const (
	samples = 128 // samples kept
	// newest is the weight of a new sample in the average.
	newest = 0.2
	// halfLife is how long an average that nothing adds to keeps half of its
	// worth, so that a slow master is tried again.
	halfLife = 10 * time.Second
)

// Add notes a first byte.
func (l *Latency) Add(now time.Time, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before := l.faded(now); l.n == 0 {
		l.mean = d.Seconds()
	} else {
		l.mean = before + newest*(d.Seconds()-before)
	}
	l.recent[l.n%samples] = d
	l.n++
}

// faded is the average as far as it still counts. l.mu is held.
func (l *Latency) faded(now time.Time) float64 {
	l.mean *= math.Exp2(-max(0, now.Sub(l.at).Seconds()) / halfLife.Seconds())
	l.at = now
	return l.mean
}

// Average is the time to the first byte of late, 0 where nothing is known.
func (l *Latency) Average(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.faded(now) * float64(time.Second))
}

// Percentile is the time that so many of 100 recent samples stay below, 0 with fewer
// than enough.
func (l *Latency) Percentile(of100, enough int) time.Duration {
	l.mu.Lock()
	recent := l.recent
	n := min(l.n, samples)
	l.mu.Unlock()
	if n == 0 || n < enough {
		return 0
	}
	slices.Sort(recent[:n])
	return recent[n*of100/100]
}

// Latencies are those of each class of requests.
type Latencies [classes]Latency
