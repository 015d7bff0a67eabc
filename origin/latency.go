package origin

import (
	"math"
	"slices"
	"sync"
	"time"
)

// latency is how long first bytes take: an average that forgets, to choose by,
// and the last of the samples, to tell what is unusual.
type latency struct {
	mu     sync.Mutex
	mean   float64 // seconds
	at     time.Time
	recent [samples]time.Duration
	n      int // samples ever
}

const (
	samples = 128 // samples kept
	// newest is the weight of a new sample in the average.
	newest = 0.2
	// halfLife is how long an average that nothing adds to keeps half of its
	// worth, so that a slow master is tried again.
	halfLife = 10 * time.Second
)

func (l *latency) add(now time.Time, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before := l.faded(now); l.n == 0 {
		l.mean = d.Seconds()
	} else {
		l.mean = before + newest*(d.Seconds()-before)
	}
	l.recent[l.n%samples] = d
	l.n++
}

// faded is the average as far as it still counts. l.mu is held.
func (l *latency) faded(now time.Time) float64 {
	l.mean *= math.Exp2(-max(0, now.Sub(l.at).Seconds()) / halfLife.Seconds())
	l.at = now
	return l.mean
}

// average is the time to the first byte of late, 0 where nothing is known.
func (l *latency) average(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.faded(now) * float64(time.Second))
}

// percentile is what so many of 100 recent samples stay below, 0 with fewer than
// enough.
func (l *latency) percentile(of100, enough int) time.Duration {
	l.mu.Lock()
	recent := l.recent
	n := min(l.n, samples)
	l.mu.Unlock()
	if n == 0 || n < enough {
		return 0
	}
	slices.Sort(recent[:n])
	return recent[n*of100/100]
}
