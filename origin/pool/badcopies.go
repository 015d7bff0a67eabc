package pool

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/recent"
)

// badCopies remember which master sent a wrong file, to ask it last for that file.
// Of several masters that did, the one that has had longest to mend it is asked
// first, so that each has its turn. Only the first time it counts against a master's
// health: the registry itself may have a broken file, and a client asks for it again.
type badCopies struct {
	some atomic.Bool // false while there never was one

	mu   sync.Mutex
	sent *recent.Map[copyOf, struct{}]
}

// copyOf names a master's copy of a file.
type copyOf struct{ master, key string }

const (
	// badFor is how long a master is asked last for a file.
	badFor       = 10 * time.Minute
	maxBadCopies = 1024
)

func newBadCopies() *badCopies {
	return &badCopies{sent: recent.New[copyOf, struct{}](maxBadCopies, badFor)}
}

// add notes a bad copy, and says whether none was known.
func (b *badCopies) add(m *health.Master, key string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, _, known := b.sent.Get(copyOf{m.Name(), key}, now)
	b.sent.Put(copyOf{m.Name(), key}, struct{}{}, now)
	b.some.Store(true)
	return !known
}

// moveLast moves the masters with a bad copy of a key to the end of an order, the
// oldest bad copy first.
func (b *badCopies) moveLast(order []*health.Master, key string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sent.Len() == 0 {
		return
	}
	sent := func(m *health.Master) time.Time { // zero for a master that sent none
		_, at, _ := b.sent.Get(copyOf{m.Name(), key}, now)
		return at
	}
	slices.SortStableFunc(order, func(x, y *health.Master) int { return sent(x).Compare(sent(y)) })
}
