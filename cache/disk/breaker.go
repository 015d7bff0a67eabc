package disk

import (
	"errors"
	"sync"
	"time"
)

// Bounds of the pause without writes after a disk failed. The pause doubles with each
// failure after a pause. The first commit that succeeds resets it.
const (
	shortestPause = 5 * time.Second
	longestPause  = time.Minute
)

// errPaused reports that the disk failed a moment ago and is not written to.
var errPaused = errors.New("the disk tier is pausing after a failure")

// breaker keeps writes from a disk that is full or failing. Meanwhile responses stream
// through, memory keeps small ones, and stored responses are served.
type breaker struct {
	mu    sync.Mutex
	until time.Time
	pause time.Duration
}

// Open reports whether writes are paused.
func (b *breaker) Open(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Before(b.until)
}

// trip starts a pause and returns its length, 0 when one is under way.
func (b *breaker) trip(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.until) {
		return 0
	}
	b.pause = min(max(2*b.pause, shortestPause), longestPause)
	b.until = now.Add(b.pause)
	return b.pause
}

// heal forgets earlier failures after a successful write. A pause under way goes on.
func (b *breaker) heal(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !now.Before(b.until) {
		b.pause = 0
	}
}
