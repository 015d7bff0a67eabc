package pool

import "time"

// Seams for the tests in package pool_test.

// Briefly is the Cache-Control of an answer that may be from before a write.
const Briefly = briefly

// MakeDue makes the next read of each of these a trial of another master.
func (s *RecentWrites) MakeDue(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if w, _, ok := s.of.Get(name, time.Now()); ok {
			w.trial = time.Now()
		}
	}
}

// Len is how many writes are remembered.
func (s *RecentWrites) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of.Len()
}

// SpendRetries leaves no budget for retries.
func (p *Pool) SpendRetries() { p.retries.saved, p.retries.perSecond = 0, 0 }

// MakeUsual makes the p95 of metadata known, and short.
func (p *Pool) MakeUsual() {
	for range enoughWaits {
		p.waits[0].Add(time.Now(), time.Millisecond)
	}
}
