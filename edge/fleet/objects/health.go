package objects

import (
	"sync"
	"time"
)

// health is how the store was when it was last asked. Failures in a row put it out, until Run
// has tried it with success.
type health struct {
	mu       sync.Mutex
	failures int // in a row
	out      bool
	until    time.Time // the next trial
	backoff  time.Duration
}

const (
	inARow       = 3
	shortBackoff = 2 * time.Second
	longBackoff  = time.Minute
)

func (h *health) usable() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.out
}

func (h *health) answered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures, h.out, h.backoff = 0, false, 0
}

// failed notes a failure, and says whether the store is out with it.
func (h *health) failed() (ejected bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures++; h.failures < inARow || h.out {
		return false
	}
	h.out, h.backoff = true, shortBackoff
	h.until = time.Now().Add(h.backoff)
	return true
}

// trial says whether a store that is out is to be tried now.
func (h *health) trial() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.out && !time.Now().Before(h.until)
}

// tried notes a trial in vain.
func (h *health) tried() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.backoff = min(2*max(h.backoff, shortBackoff), longBackoff)
	h.until = time.Now().Add(h.backoff)
}
