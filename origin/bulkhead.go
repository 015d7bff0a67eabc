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
type bulkhead struct {
	mu    sync.Mutex
	busy  int
	queue []chan struct{} // closed when its owner's turn has come, first come first
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
	// maxQueue is how many may wait for room, in each class.
	maxQueue = 256
	// leastRoom is what a master that has just come back has at least, see ramp.
	leastRoom = 4
)

// enter takes a place, waiting up to patience for it behind at most queue
// others. The error is errBusy or ctx's cause.
func (b *bulkhead) enter(ctx context.Context, limit, queue int, patience time.Duration) error {
	b.mu.Lock()
	if b.busy < limit && len(b.queue) == 0 {
		b.busy++
		b.mu.Unlock()
		return nil
	}
	if len(b.queue) >= queue {
		b.mu.Unlock()
		return errBusy
	}
	turn := make(chan struct{})
	b.queue = append(b.queue, turn)
	b.mu.Unlock()

	late := time.NewTimer(patience)
	defer late.Stop()
	err := errBusy
	select {
	case <-turn:
		return nil
	case <-late.C:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.queue, turn)
	if i < 0 {
		return nil // the turn came at the same moment
	}
	b.queue = slices.Delete(b.queue, i, i+1)
	return err
}

// leave gives a place back to those who wait.
func (b *bulkhead) leave(limit int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.busy--; b.busy < limit && len(b.queue) > 0; b.busy++ {
		close(b.queue[0])
		b.queue = b.queue[1:]
	}
}

// inside is how many have a place.
func (b *bulkhead) inside() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.busy
}

// waiting is the length of the queue.
func (b *bulkhead) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}
