package cache

import (
	"sync/atomic"
	"time"
)

// versionClock makes IDs that grow, also across restarts. The ID of each stored response
// goes to saw before its replacement gets one, so that no step of the clock makes a new
// response look older than the one it replaces.
type versionClock struct{ id atomic.Uint64 }

func (l *versionClock) next(now time.Time) uint64 {
	for {
		last := l.id.Load()
		next := max(last+1, uint64(now.UnixNano()))
		if l.id.CompareAndSwap(last, next) {
			return next
		}
	}
}

func (l *versionClock) saw(id uint64) {
	for last := l.id.Load(); id > last; last = l.id.Load() {
		if l.id.CompareAndSwap(last, id) {
			return
		}
	}
}
