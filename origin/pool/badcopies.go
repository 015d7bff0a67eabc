package pool

import (
	"slices"
	"sync"
	"time"

	"pkgedge/origin/health"
)

// badCopies remember which master sent a wrong file, to ask it last for that file.
// Of several masters that did, the one that has had longest to mend it is asked
// first, so that each has its turn. Nothing else is held against them: one bad copy
// says little of the rest.
type badCopies struct {
	mu    sync.Mutex
	until map[copyOf]time.Time // until when
}

// copyOf names a master's copy of a file.
type copyOf struct{ master, key string }

const (
	// badFor is how long a master is asked last for a file.
	badFor = 10 * time.Minute
	// maxBadCopies bounds them; beyond it the oldest ones make room.
	maxBadCopies = 1024
)

func newBadCopies() *badCopies { return &badCopies{until: make(map[copyOf]time.Time)} }

func (b *badCopies) add(m *health.Master, key string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.until) >= maxBadCopies {
		var oldest copyOf
		first := time.Time{}
		for k, until := range b.until {
			if first.IsZero() || until.Before(first) {
				oldest, first = k, until
			}
		}
		delete(b.until, oldest)
	}
	b.until[copyOf{m.Name(), key}] = now.Add(badFor)
}

// moveLast moves the masters with a bad copy of a key to the end of an order, the
// oldest bad copy first.
func (b *badCopies) moveLast(order []*health.Master, key string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.until) == 0 {
		return
	}
	slices.SortStableFunc(order, func(x, y *health.Master) int { return b.end(x, key, now).Compare(b.end(y, key, now)) })
}

// end is when a copy is no longer taken for bad, zero when it is not. b.mu is held.
func (b *badCopies) end(m *health.Master, key string, now time.Time) time.Time {
	k := copyOf{m.Name(), key}
	until := b.until[k]
	if !now.Before(until) {
		delete(b.until, k)
		return time.Time{}
	}
	return until
}
