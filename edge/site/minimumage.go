package site

import (
	"context"
	"net/http"
	"sync"
	"time"

	"pkgedge/cache"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// Withheld says why a stored response must not be served, "" when it may: it is a
// file of a release that is younger than the site's minimum age. Such a file was
// stored before the site had this minimum age. An error means that no master
// could be asked for the age.
func (s *Site) Withheld(ctx context.Context, q *cache.Query, a *cache.Answer) (reason string, err error) {
	f := q.Fetcher.(fetcher)
	if f.route.Class != kind.File || f.from.Scope != "" || a.Status >= http.StatusMultipleChoices || s.releases.oldEnough(q.Key.ID, a.ResponseTime) {
		return "", nil
	}
	list := func(ctx context.Context, renew bool) ([]byte, error) { return s.cache.Need(ctx, q, renew) }
	reason, err = f.from.Withheld(ctx, origin.Request{Route: f.route, Header: f.forwarded, List: list})
	if err == nil && reason == "" {
		s.releases.add(q.Key.ID)
	}
	return reason, err
}

// releases are files of releases that are old enough for the site's minimum age. A
// release only grows older, so that none is ever taken back.
type releases struct {
	age time.Duration // the site's minimum age, 0 for none

	mu  sync.Mutex
	old map[string]struct{} // by the keys of the files; nil until there is one
}

// maxReleases bounds releases. Past it all are forgotten: each then costs one look
// at a stored document.
const maxReleases = 1 << 14

// oldEnough reports whether a file that was received at a time is known to be of an
// old enough release. A file that has been here for the minimum age is.
func (r *releases) oldEnough(key string, received time.Time) bool {
	if r.age == 0 || time.Since(received) >= r.age {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.old[key]
	return known
}

func (r *releases) add(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.old == nil {
		r.old = make(map[string]struct{})
	}
	if len(r.old) >= maxReleases {
		clear(r.old)
	}
	r.old[key] = struct{}{}
}
