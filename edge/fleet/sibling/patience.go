package sibling

import (
	"context"
	"sync"
	"time"
)

// patience ends a request with errSilent when nothing is heard for as long as a silence may
// last. Where its timer is late this process did not have the processor, and may not have seen
// the answer either: once, it waits anew.
type patience struct {
	silence time.Duration
	cancel  context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	due   time.Time
	anew  bool // it has waited anew
}

func newPatience(silence time.Duration, cancel context.CancelCauseFunc) *patience {
	p := &patience{silence: silence, cancel: cancel}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due = time.Now().Add(silence)
	p.timer = time.AfterFunc(silence, p.end)
	return p
}

// heard begins a silence anew.
func (p *patience) heard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.again(time.Now())
}

// again sets the timer. p.mu is held.
func (p *patience) again(now time.Time) {
	p.due = now.Add(p.silence)
	p.timer.Reset(p.silence)
}

func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	switch late := now.Sub(p.due); {
	case late < 0: // it was heard at the last moment
	case !p.anew && late > p.silence/4:
		p.anew = true
		p.again(now)
	default:
		p.cancel(errSilent)
	}
}

// stop ends the wait. It is false where that has ended the request.
func (p *patience) stop() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.timer.Stop()
}
