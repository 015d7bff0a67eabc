package badcopies

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/origin/recent"
)

// Memory remembers which master sent a wrong file, to ask it last for that file.
// Of several masters that did, the one that has had longest to mend it is asked
// first, so that each has its turn. Only the first time it counts against a master's
// health: the registry itself may have a broken file, and a client asks for it again.
type Memory struct {
	Some atomic.Bool // false while there never was one

	mu   sync.Mutex
	sent *recent.Map[copyOf, struct{}]
}

// Master is one of those that send files.
type Master interface{ Name() string }

// copyOf names a master's copy of a file.
type copyOf struct{ master, key string }

const (
	// badFor is how long a master is asked last for a file.
	badFor       = 10 * time.Minute
	maxBadCopies = 1024
)

// New returns an empty memory.
func New() *Memory {
	return &Memory{sent: recent.New[copyOf, struct{}](maxBadCopies, badFor)}
}

// Add notes a bad copy, and says whether none was known.
func (b *Memory) Add(m Master, key string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, _, known := b.sent.Get(copyOf{m.Name(), key}, now)
	b.sent.Put(copyOf{m.Name(), key}, struct{}{}, now)
	b.Some.Store(true)
	return !known
}

// MoveLast moves the masters with a bad copy of a key to the end of an order, the
// oldest bad copy first.
func MoveLast[M Master](b *Memory, order []M, key string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sent.Len() == 0 {
		return
	}
	sent := func(m M) time.Time { // zero for a master that sent none
		_, at, _ := b.sent.Get(copyOf{m.Name(), key}, now)
		return at
	}
	slices.SortStableFunc(order, func(x, y M) int { return sent(x).Compare(sent(y)) })
}
