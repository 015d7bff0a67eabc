package history

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxFailures is how many reasons are remembered.
	maxFailures = 50
	// maxText is the longest text of a failure that is kept, in bytes.
	maxText = 400
)

// Failure is a failure that clients saw, as often as they saw it.
type Failure struct {
	Site   string
	Status int    // of the answers; one below 400 was broken off
	Reason string // as clients were told

	Request     string // the last one, such as "GET /left-pad"
	Detail      string // of the last one, for operators
	First, Last time.Time
	Count       int64
}

// Failures remembers failures. Those of one site, status and reason are one, so that an outage does not
// push out all others. Its zero value is ready, and it is safe for concurrent use.
type Failures struct {
	mu  sync.Mutex
	all []Failure
}

// Add takes a failure, which happened once, at its Last.
func (f *Failures) Add(is Failure) {
	is.Reason, is.Request, is.Detail = clip(is.Reason), clip(is.Request), clip(is.Detail)
	is.First, is.Count = is.Last, 1
	f.mu.Lock()
	defer f.mu.Unlock()
	oldest := 0
	for i := range f.all {
		known := &f.all[i]
		if known.Site == is.Site && known.Status == is.Status && known.Reason == is.Reason {
			is.First, is.Count = known.First, known.Count+1
			*known = is
			return
		}
		if known.Last.Before(f.all[oldest].Last) {
			oldest = i
		}
	}
	if len(f.all) < maxFailures {
		f.all = append(f.all, is)
		return
	}
	f.all[oldest] = is
}

// clip cuts a text that is too long, and makes it its own.
func clip(text string) string {
	if len(text) <= maxText {
		return strings.Clone(text)
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// List returns the failures that happened since then, the last one first.
func (f *Failures) List(since time.Time) []Failure {
	f.mu.Lock()
	all := slices.Clone(f.all)
	f.mu.Unlock()
	all = slices.DeleteFunc(all, func(is Failure) bool { return is.Last.Before(since) })
	slices.SortStableFunc(all, func(a, b Failure) int { return cmp.Compare(b.Last.UnixNano(), a.Last.UnixNano()) })
	return all
}
