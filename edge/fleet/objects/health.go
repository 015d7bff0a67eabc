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
	usual    time.Duration // until the fields of an answer, on average; 0 where none has come
}

const (
	inARow       = 3
	shortBackoff = 2 * time.Second
	longBackoff  = time.Minute
)

// A file is waited for some times as long as is usual, so that a store that begins to hang costs
// a request little: the masters have the file, too.
const (
	timesUsual   = 8
	leastWait    = 50 * time.Millisecond
	weightOfLast = 8 // of the average: an eighth
)

// wait is how long an answer may take to begin, and most at most.
func (h *health) wait(most time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.usual == 0 {
		return most
	}
	return min(max(timesUsual*h.usual, leastWait), most)
}

// took notes how long an answer took to begin. One to a trial begins the average anew.
func (h *health) took(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.usual == 0 || h.out {
		h.usual = max(d, 1)
		return
	}
	h.usual += (d - h.usual) / weightOfLast
}

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
