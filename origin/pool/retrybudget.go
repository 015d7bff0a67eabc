package pool

import (
	"sync"
	"time"
)

// budget limits the requests that are sent a second time: to a share of all requests,
// and a few in any case, so that a quiet site fails over too.
type budget struct {
	share     float64 // earned by each request
	perSecond float64 // earned by waiting
	most      float64 // that can be saved up

	mu    sync.Mutex
	saved float64
	at    time.Time
}

// newRetries is the budget for asking another master after one has failed: 10 %
// of the requests. The savings cover the moment in which a master dies and every
// request that it had in hand is sent again.
func newRetries() *budget { return &budget{share: 0.1, perSecond: 5, most: 64, saved: 64} }

// newHedges is the budget for asking another master before one has failed: 5 %
// of the requests.
func newHedges() *budget { return &budget{share: 0.05, perSecond: 0.1, most: 10, saved: 1} }

// earn counts a request.
func (b *budget) earn(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill(now)
	b.saved = min(b.most, b.saved+b.share)
}

// spend takes one, if a part of the largest savings stays for others.
func (b *budget) spend(now time.Time, leave float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill(now)
	if b.saved < 1+leave*b.most {
		return false
	}
	b.saved--
	return true
}

// refill adds the earnings of the time that has passed. b.mu is held.
func (b *budget) refill(now time.Time) {
	if !b.at.IsZero() {
		b.saved = min(b.most, b.saved+b.perSecond*max(0, now.Sub(b.at).Seconds()))
	}
	b.at = now
}
