package origin

import (
	"slices"
	"sync"
	"time"
)

// doubts remember which master sent a wrong file, to ask it last for that file. Of
// several that did, the one that has had longest to mend it is asked first, so
// that each has its turn. Nothing is held against them otherwise: one bad copy
// says little of the rest.
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

// last moves the masters in doubt about a key to the end of an order, the oldest
// doubt first.
func (d *doubts) last(order []*master, key string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.about) == 0 {
		return
	}
	slices.SortStableFunc(order, func(a, b *master) int { return d.until(a, key, now).Compare(d.until(b, key, now)) })
}

// until is when a master is no longer in doubt, zero when it is in none. d.mu is
// held.
func (d *doubts) until(m *master, key string, now time.Time) time.Time {
	k := doubt{m, key}
	until := d.about[k]
	if !now.Before(until) {
		delete(d.about, k)
		return time.Time{}
	}
	return until
}
