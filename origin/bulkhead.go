package origin

import (
	"context"
	"slices"
	"sync"
	"time"

	"pkgedge/origin/kind"
)

// bulkhead bounds the requests of one class that one master has at a time, so
// that trouble with files leaves room for metadata, and the other way round.
// Those who find it full wait in a queue, which is bounded too.
//
// It opens slowly: a master that has had little to do is not sent everything at
// once by an edge whose cache is empty. It begins with firstRoom. While it is more
// than half full it grows by one with each answer that begins, and while it is full
// in ramp in any case, if answers come; what it does not hold back teaches it
// nothing. It shrinks again when it is not used (as a congestion window does,
// RFC 5681 and RFC 7661).
//
// It delays, and refuses nobody: who would be refused only because it has not
// grown enough yet is let in.
type bulkhead struct {
	mu    sync.Mutex
	busy  int
	queue []*waiter // first come first

	open  int       // how many it has grown to take, 0 before the first
	since time.Time // while it is full: from when on time counts towards its growth
	used  time.Time // when more than half of that was last in use
}

// waiter is one in the queue.
type waiter struct {
	turn    chan struct{} // closed when the queue is left
	refused bool          // and why: the master went out
}

// class tells apart what has room of its own at a master.
type class uint8

const (
	forMetadata class = iota
	forFiles
	forPass
	classes
)

func classOf(r kind.Route) class {
	switch r.Class {
	case kind.Metadata:
		return forMetadata
	case kind.File:
		return forFiles
	}
	return forPass
}

// room is how many requests a master has at a time, by class. They are far more
// than a healthy master needs: what fills them is a master that hangs, or an
// edge that comes back with an empty cache.
var room = [classes]int{forMetadata: 64, forFiles: 256, forPass: 128}

const (
	// maxQueue is how many may wait for room, in each class; while a bulkhead is
	// not wide open, also those whom it would have room for otherwise.
	maxQueue = 256
	// leastRoom is what a master that has just come back has at least, see ramp.
	leastRoom = 4
	// firstRoom is how far a bulkhead is open at first.
	firstRoom = 8
	// narrowing is how long one goes without being half full before it loses half
	// of its width.
	narrowing = time.Minute
)

// enter takes a place of at most limit. Where there is none it waits up to
// patience, and not at all with none of that. The error is errBusy or ctx's
// cause.
func (b *bulkhead) enter(ctx context.Context, limit int, patience time.Duration) error {
	b.mu.Lock()
	b.shrink(time.Now())
	width := b.width(limit)
	if b.busy < width && len(b.queue) == 0 {
		b.take(limit)
		b.mu.Unlock()
		return nil
	}
	if patience <= 0 || len(b.queue) >= maxQueue+limit-width {
		b.mu.Unlock()
		return errBusy
	}
	w := &waiter{turn: make(chan struct{})}
	b.queue = append(b.queue, w)
	b.mu.Unlock()

	late := time.NewTimer(patience)
	defer late.Stop()
	err := errBusy
	select {
	case <-w.turn:
		return w.result()
	case <-late.C:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.queue, w)
	if i < 0 {
		return w.result() // the turn came at the same moment
	}
	b.queue = slices.Delete(b.queue, i, i+1)
	if err == errBusy && b.busy < limit {
		b.take(limit)
		return nil
	}
	return err
}

func (w *waiter) result() error {
	if w.refused {
		return errBusy
	}
	return nil
}

// width is how many of limit may be inside. b.mu is held.
func (b *bulkhead) width(limit int) int { return min(limit, max(b.open, firstRoom)) }

// take counts one in. b.mu is held.
func (b *bulkhead) take(limit int) {
	now := time.Now()
	b.busy++
	b.shrink(now)
	if b.busy == b.width(limit) {
		b.since = now // it was not full before
	}
}

// shrink takes half of what has not been used for long. b.mu is held.
func (b *bulkhead) shrink(now time.Time) {
	if 2*b.busy > b.open {
		b.used = now
	}
	for b.open > firstRoom && now.Sub(b.used) >= narrowing {
		b.open = max(b.open/2, firstRoom)
		b.used = b.used.Add(narrowing)
	}
}

// answered says that the master has begun to answer one of those inside.
func (b *bulkhead) answered(limit int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	width, gained := b.width(limit), 0
	if 2*b.busy > width {
		gained = 1
	}
	if now := time.Now(); b.busy >= width {
		gained += int(float64(limit) * float64(now.Sub(b.since)) / float64(ramp))
		b.since = now
	}
	b.open = max(b.open, min(limit, width+gained))
	b.admit(limit)
}

// leave gives a place back to those who wait.
func (b *bulkhead) leave(limit int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.shrink(now)
	b.busy--
	b.since = now // what ends without an answer has taught nothing
	b.admit(limit)
}

// admit lets those in who wait, as far as there is room. b.mu is held.
func (b *bulkhead) admit(limit int) {
	for len(b.queue) > 0 && b.busy < b.width(limit) {
		b.take(limit)
		close(b.queue[0].turn)
		b.queue = b.queue[1:]
	}
}

// dismiss sends away all who wait: the master is out, and another one may answer
// them.
func (b *bulkhead) dismiss() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.queue {
		w.refused = true
		close(w.turn)
	}
	b.queue = nil
}

// load is how many are inside and how many wait.
func (b *bulkhead) load() (inside, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.busy, len(b.queue)
}
