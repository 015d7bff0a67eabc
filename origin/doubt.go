package origin

import (
	"slices"
	"sync"
	"time"
)

// doubts remember which master sent a wrong file, to ask it last for that file.
// Nothing is held against it otherwise: one bad copy says little of the rest.
type doubts struct {
	mu    sync.Mutex
	about map[doubt]time.Time // until when
}

type doubt struct {
	master *master
	key    string
}

const (
	// doubtFor is how long a master is asked last for a file.
	doubtFor = 10 * time.Minute
	// maxDoubts bounds them; beyond it the oldest ones make room.
	maxDoubts = 1024
)

func newDoubts() *doubts { return &doubts{about: make(map[doubt]time.Time)} }

func (d *doubts) add(m *master, key string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.about) >= maxDoubts {
		var oldest doubt
		first := time.Time{}
		for k, until := range d.about {
			if first.IsZero() || until.Before(first) {
				oldest, first = k, until
			}
		}
		delete(d.about, oldest)
	}
	d.about[doubt{m, key}] = now.Add(doubtFor)
}

// last moves the masters in doubt about a key to the end of an order.
func (d *doubts) last(order []*master, key string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.about) == 0 {
		return
	}
	slices.SortStableFunc(order, func(a, b *master) int { return d.of(a, key, now) - d.of(b, key, now) })
}

// of is 1 for a master in doubt. d.mu is held.
func (d *doubts) of(m *master, key string, now time.Time) int {
	k := doubt{m, key}
	until, ok := d.about[k]
	if ok && now.Before(until) {
		return 1
	}
	delete(d.about, k)
	return 0
}
