package history

import (
	"context"
	"sync"
	"time"
)

const (
	// Step is the time between two samples.
	Step = 10 * time.Second
	// Samples is how many samples are kept: an hour of them.
	Samples = int(time.Hour / Step)
)

// Totals are counters since the start, and levels of now.
type Totals struct {
	Requests    int64 // answers to clients
	Reads       int64 // of those the ones that the store, or a master, could answer
	Stored      int64 // of those the ones that were answered without waiting for a master
	StaleErrors int64 // of those the ones whose stored response was stale, because no master answered
	Errors      int64 // of all requests: answered 5xx
	Refused     int64 // bad, unwanted, or over a budget

	Sent       int64 // bytes of bodies to clients
	SentReads  int64 // of those the ones for Reads
	SentStored int64 // of those the ones for Stored, and for readers of a fetch that another request began
	Fetched    int64 // bytes of bodies from masters

	Times []uint64 // answers by the time they took, in the intervals of Bounds

	Memory, Disk int64 // bytes now
	Outage       bool  // now
}

// Sample is the change of the totals in one step.
type Sample struct {
	At      time.Time
	Seconds float64 // since the sample before
	Totals          // without Times
	// P50 and P99 are the times, in seconds, that so many of 100 answers did not exceed;
	// 0 where there was none.
	P50, P99 float64
}

// Hour is a ring of samples. It is safe for concurrent use.
type Hour struct {
	bounds []float64 // upper bounds of Totals.Times in seconds, but for the last one, which has none

	mu    sync.Mutex
	ring  [Samples]Sample
	count int // ever
	last  Totals
	at    time.Time
}

// NewHour returns an hour without samples, which begins at now. The bounds are those of the histogram in Totals.
func NewHour(bounds []float64, now time.Time) *Hour { return &Hour{bounds: bounds, at: now} }

// Run takes a sample of read in each step, until ctx is done.
func (h *Hour) Run(ctx context.Context, read func() Totals) {
	ticker := time.NewTicker(Step)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.Add(time.Now(), read())
		}
	}
}

// Add takes a sample.
func (h *Hour) Add(now time.Time, t Totals) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Sample{At: now, Seconds: now.Sub(h.at).Seconds(), Totals: t}
	// A counter of masters falls with those that a reload takes away.
	for _, c := range []struct{ is, was *int64 }{
		{&s.Requests, &h.last.Requests}, {&s.Reads, &h.last.Reads}, {&s.Stored, &h.last.Stored}, {&s.StaleErrors, &h.last.StaleErrors},
		{&s.Errors, &h.last.Errors}, {&s.Refused, &h.last.Refused}, {&s.Sent, &h.last.Sent}, {&s.SentReads, &h.last.SentReads},
		{&s.SentStored, &h.last.SentStored}, {&s.Fetched, &h.last.Fetched},
	} {
		*c.is = max(0, *c.is-*c.was)
	}
	took := make([]uint64, len(t.Times))
	for i, n := range t.Times {
		took[i] = n
		if i < len(h.last.Times) {
			took[i] -= min(n, h.last.Times[i])
		}
	}
	s.P50, s.P99 = quantile(h.bounds, took, 50), quantile(h.bounds, took, 99)
	s.Times = nil
	h.ring[h.count%Samples] = s
	h.count++
	h.last, h.at = t, now
}

// Since returns the samples from number n on, as far as they are still there, the latest at
// the end, and the number of the next one.
func (h *Hour) Since(n int) (samples []Sample, next int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := max(n, h.count-Samples, 0); i < h.count; i++ {
		samples = append(samples, h.ring[i%Samples])
	}
	return samples, h.count
}
