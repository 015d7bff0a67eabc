package admin

import (
	"maps"
	"sync"
	"sync/atomic"
)

// maxChildren bounds the sets of labels of a metric. Sites and masters come from the
// configuration and words from fixed sets, so that only a bug in the edge exceeds
// it. Further sets are counted under empty labels.
const maxChildren = 4096

// children maps labels to their counters. A lookup of labels that were seen before
// takes no lock.
type children[L comparable, C any] struct {
	resolve func(L) C
	known   atomic.Pointer[map[L]C] // replaced, never changed
	mu      sync.Mutex              // held while replacing known
}

// get returns the counter of those labels.
func (c *children[L, C]) get(labels L) C {
	if known := c.known.Load(); known != nil {
		if child, ok := (*known)[labels]; ok {
			return child
		}
	}
	return c.add(labels)
}

// add returns the counter of labels that were not seen before.
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
