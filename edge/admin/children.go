package admin

import (
	"maps"
	"sync"
	"sync/atomic"
)

// maxChildren bounds each set of labels seen. Sites and masters come from the
// configuration and words from fixed sets, so that only a mistake gets there;
// what comes after it is counted under empty labels.
const maxChildren = 4096

// children keeps what labels resolve to, so that counting looks up one map and
// takes no lock.
type children[L comparable, C any] struct {
	resolve func(L) C
	known   atomic.Pointer[map[L]C] // replaced, never changed
	mu      sync.Mutex              // held while replacing known
}

func (c *children[L, C]) get(labels L) C {
	if known := c.known.Load(); known != nil {
		if child, ok := (*known)[labels]; ok {
			return child
		}
	}
	return c.add(labels)
}

func (c *children[L, C]) add(labels L) C {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := make(map[L]C)
	if old := c.known.Load(); old != nil {
		if len(*old) >= maxChildren {
			var none L
			labels = none
		}
		if child, ok := (*old)[labels]; ok {
			return child
		}
		known = maps.Clone(*old)
	}
	child := c.resolve(labels)
	known[labels] = child
	c.known.Store(&known)
	return child
}
