package health

import (
	"math"
	"slices"
	"sync"
	"time"
)

// Latency is how long first bytes take: an average that forgets, to choose by,
// and the last of the samples, to tell an unusual wait.
type Latency struct {
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

// Add notes a first byte.
func (l *Latency) Add(now time.Time, d time.Duration) {
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
func (l *Latency) faded(now time.Time) float64 {
	l.mean *= math.Exp2(-max(0, now.Sub(l.at).Seconds()) / halfLife.Seconds())
	l.at = now
	return l.mean
}

// Average is the time to the first byte of late, 0 where nothing is known.
func (l *Latency) Average(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.faded(now) * float64(time.Second))
}

// Percentile is the time that so many of 100 recent samples stay below, 0 with fewer
// than enough.
func (l *Latency) Percentile(of100, enough int) time.Duration {
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

// Latencies are those of each class of requests.
type Latencies [classes]Latency
