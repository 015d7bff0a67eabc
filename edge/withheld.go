package main

import (
	"net/http"
	"sync"
	"time"

	"pkgedge/cache"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// releases remembers which files are of releases that a site's minimum age lets
// pass. A release only grows older, so that this is never taken back.
type releases struct {
	age time.Duration // the site's minimum age, 0 for none

	mu  sync.Mutex
	old map[string]struct{} // by the keys of the files; nil until there is one
}

// maxOld is how many files are remembered. When there are more, all are forgotten:
// each costs one look at a stored document.
const maxOld = 1 << 14

// passes reports whether a file that was received at a moment is known to be of an
// old enough release. What has been here for that long is, whoever published it.
func (r *releases) passes(key string, received time.Time) bool {
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
	if len(r.old) >= maxOld {
		clear(r.old)
	}
	r.old[key] = struct{}{}
}

// grown says whether a file is of an old enough release, and answers if it is not.
// It was stored before the site had this minimum age, else it would not be here.
func (x *exchange) grown(q *cache.Query, a *cache.Answer) bool {
	if x.route.Class != kind.File || x.from.scope != "" || a.Status >= http.StatusMultipleChoices || x.site.releases.passes(q.Key.ID, a.ResponseTime) {
		return true
	}
	f := q.Fetcher.(fetcher)
	switch why, err := f.from.Withheld(x.r.Context(), origin.Ask{Route: f.route, Header: f.passed}); {
	case err != nil:
		x.fail(err)
	case why != "":
		x.missed() // a master was asked for a newer list
		x.refuse(cache.Refused, http.StatusUnavailableForLegalReasons, why)
	default:
		x.site.releases.add(q.Key.ID)
		return true
	}
	return false
}
