package site

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
	"pkgedge/edge/report"
	"pkgedge/origin/kind"
)

// Place is one response that a site may store.
type Place struct {
	site  *Site
	from  *Upstream
	route kind.Route
}

// PlaceOf returns the place of a path below the site. ok is false for one that is never
// stored.
func (s *Site) PlaceOf(path, query string) (p Place, ok bool) {
	r := s.Route(http.MethodGet, path, query, http.Header{})
	if !r.Class.Cacheable() {
		return Place{}, false
	}
	from, _ := s.Upstream(r) // a route that may be stored names one scope at most
	return Place{s, from, r}, true
}

// DocumentOf returns the place of a package's document. ok is false where the site has no
// packages, or none of that name.
func (s *Site) DocumentOf(name string) (p Place, ok bool) {
	if s.Kind.ChangePath == nil {
		return Place{}, false
	}
	p, ok = s.PlaceOf(s.Kind.ChangePath(name), "")
	return p, ok && p.route.Group == name
}

// Key is the key of the place's first response.
func (p Place) Key() store.Key { return p.site.Key(p.from, p.route) }

// Explanation says how a request without a credential would be answered.
type Explanation struct {
	cache.Explanation
	Site, Path, Endpoint string
	Parts                []store.Part // those that clients get
	Digest               string       // that the bytes must have, as a stored document says
	Withheld             string       // why there is a file that is not served
	Purged               bool         // a soft purge covers the stored response
	Now, Outage          string       // how a request would be answered, and how if no master answered
}

// Explain says how a request for the place would be answered now. No master is asked.
func (p Place) Explain(ctx context.Context) Explanation {
	q := p.site.Query(p.from, p.route, http.Header{})
	e := Explanation{Explanation: p.site.cache.Explain(q), Site: p.site.Name, Path: p.route.Path, Endpoint: p.route.Endpoint}
	if d, ok := p.site.Entry(ctx, q); ok {
		e.Withheld = d.Withheld
		if d.Algorithm != "" {
			e.Digest = d.Algorithm + " " + hex.EncodeToString(d.Sum)
		}
	}
	if e.Stored != nil {
		e.Parts = slices.DeleteFunc(slices.Clone(e.Stored.Parts), func(part store.Part) bool { return part.Variant == kind.Summary || part.Variant == kind.Raw })
		e.Purged = e.Mark == policy.MarkedStale
	}
	e.Now, e.Outage = words(&e.Explanation, q.Rule.Patience)
	return e
}

// words says how a request would be answered, and how if no master answered.
func words(e *cache.Explanation, patience time.Duration) (now, outage string) {
	outage = "with an error: nothing stored may answer"
	if e.OnError == policy.StaleIfError {
		outage = "as it is stored, stale"
	}
	life := report.Age(e.TTL.Abs())
	switch e.Verdict {
	case policy.Fresh:
		now, outage = "at once: fresh for "+life, "at once as well, while it is fresh"
	case policy.StaleWhileRevalidate, policy.Stale:
		now = fmt.Sprintf("at once, stale since %s; a master is asked behind it", life)
	case policy.ValidateFirst:
		now = fmt.Sprintf("after a master is asked, stale since %s: as it is stored when none has answered for %v", life, patience)
	case policy.Validate:
		now = "after a master says that it still holds: stale since " + life
		if e.Mark == policy.MarkedStale {
			now = "after a master says that it still holds: a purge made it stale"
		} else if e.TTL > 0 {
			now = "after a master says that it still holds: it must be validated each time"
		}
	case policy.Complete:
		now = "by a fetch: only a part is stored"
	default:
		now = "by a fetch: nothing is stored"
	}
	if e.Fetching {
		now += "; a fetch is under way"
	}
	return now, outage
}
