package fetch

import (
	"context"
	"slices"
	"sync"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/pool"
	"pkgedge/origin/recent"
)

const (
	// deferFor is how many seconds a deferred document is not asked for again.
	deferFor = "60"
	// longestDeferral is how long one is deferred at most: its files may never come.
	longestDeferral = 15 * time.Minute
	maxDeferred     = 64
)

// Deferred are the documents that are not used yet, by key.
type Deferred struct {
	mu    sync.Mutex
	needs *recent.Map[string, []string] // the files that each waits for
}

// NewDeferred returns a memory without documents.
func NewDeferred() *Deferred {
	return &Deferred{needs: recent.New[string, []string](maxDeferred, 2*longestDeferral)}
}

// defers says that a document promises files that its master does not have yet, and
// that the stored document is to be used a little longer.
func (f *Fetcher) defers(ctx context.Context, m *health.Master, a pool.Request, docs []kind.Document) bool {
	var needs []string
	for _, d := range docs {
		needs = append(needs, d.Needs...)
	}
	if f.deferred.overdue(a.Route.Key, needs, time.Now()) {
		return false
	}
	for _, path := range needs {
		if !f.headCompanion(ctx, m, a, path) {
			f.masters.Observe(m, "early")
			return true
		}
	}
	return false
}

// overdue says whether a document has been deferred for those needs long enough.
func (d *Deferred) overdue(key string, needs []string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old, begun, ok := d.needs.Get(key, now); ok && slices.Equal(old, needs) {
		return now.Sub(begun) >= longestDeferral
	}
	d.needs.Put(key, needs, now)
	return false
}
