package cache

import (
	"sync/atomic"
	"time"
)

// versionClock makes IDs that grow, also across restarts. The ID of each stored response
// goes to saw before its replacement gets one, so that no step of the clock makes a new
// response look older than the one it replaces.
type versionClock struct{ last atomic.Uint64 }

func (l *versionClock) next(now time.Time) uint64 {
	for {
		last := l.last.Load()
		next := max(last+1, uint64(now.UnixNano()))
		if l.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

func (l *versionClock) saw(id uint64) {
	for last := l.last.Load(); id > last; last = l.last.Load() {
		if l.last.CompareAndSwap(last, id) {
			return
		}
	}
}
