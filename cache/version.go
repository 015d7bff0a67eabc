package cache

import (
	"sync/atomic"
	"time"
)

// versionClock makes Versions that grow, also across restarts. The Version of each stored response
// goes to saw before its replacement gets one, so that no step of the clock makes a new
// response look older than the one it replaces.
type versionClock struct{ last atomic.Uint64 }

func (c *versionClock) next(now time.Time) uint64 {
	for {
		last := c.last.Load()
		next := max(last+1, uint64(now.UnixNano()))
		if c.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

func (c *versionClock) saw(version uint64) {
	for last := c.last.Load(); version > last; last = c.last.Load() {
		if c.last.CompareAndSwap(last, version) {
			return
		}
	}
}
