package daemon

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/edge/admin"
	"pkgedge/edge/report"
	"pkgedge/origin/kind"
)

// explainer says for an operator how requests would be answered.
type explainer struct{ *Daemon }

// Explain implements [admin.Explainer].
func (e explainer) Explain(ctx context.Context, q admin.Question) ([]admin.Why, error) {
	g := e.serving()
	targets, err := g.asked(q)
	if err != nil {
		return nil, err
	}
	var all []admin.Why
	for _, t := range targets {
		all = append(all, e.explain(ctx, t))
	}
	return all, nil
}

// asked lists the responses that a question is about: for a package its document in each site
// that has packages.
func (g *generation) asked(q admin.Question) (all []target, err error) {
	if q.URL != "" {
		t, err := g.targetOf(q.Site, q.URL)
		return []target{t}, err
	}
	known := false
	for _, s := range g.Sites {
		if q.Site != "" && s.Name != q.Site {
			continue
		}
		known = true
		if s.Kind.ChangePath == nil {
			continue
		}
		r := s.Route(http.MethodGet, s.Kind.ChangePath(q.Package), "", http.Header{})
		if from, ok := s.Upstream(r); ok && r.Class.Cacheable() && r.Group == q.Package {
			all = append(all, target{s, from, r})
		}
	}
	switch {
	case !known:
		return nil, fmt.Errorf("%w: %q", admin.ErrUnknownSite, q.Site)
	case len(all) == 0:
		return nil, fmt.Errorf("%w: no site has a package %q: name a URL", admin.ErrUnknownName, q.Package)
	}
	return all, nil
}

// explain says how a request without a credential would be answered.
func (e explainer) explain(ctx context.Context, t target) admin.Why {
	q := t.site.Query(t.from, t.route, http.Header{})
	if t.site.Kind.Transparent {
		q.Request.Header = http.Header{}
	}
	found := e.cache.Explain(q)
	w := admin.Why{Site: t.site.Name, Path: t.route.Path, What: t.route.Endpoint, Fetching: found.Fetching}
	if d, ok := t.site.Entry(ctx, q); ok {
		w.Withheld = d.Withheld
		if d.Algorithm != "" {
			w.Digest = d.Algorithm + " " + hex.EncodeToString(d.Sum)
		}
	}
	w.Now, w.Outage = words(&found, q.Rule.Patience)
	if found.Stored != nil {
		w.Stored = storedOf(&found)
	}
	return w
}

// storedOf describes a stored response.
func storedOf(f *cache.Explanation) *admin.Stored {
	m := f.Stored
	s := &admin.Stored{
		Status: m.Status, Master: m.From, Fetched: m.ResponseTime.UTC().Truncate(time.Second),
		Age: int64(f.Age / time.Second), TTL: int64(f.TTL / time.Second), Purged: f.Mark == policy.MarkedStale,
		ETag: m.Header.Get("Etag"), LastModified: m.Header.Get("Last-Modified"),
	}
	if f.InMemory {
		s.Tiers = append(s.Tiers, "memory")
	}
	if f.OnDisk {
		s.Tiers = append(s.Tiers, "disk")
	}
	for _, p := range m.Parts {
		if p.Variant == kind.Summary { // which no client gets
			continue
		}
		s.Variants = append(s.Variants, admin.Variant{Name: p.Variant, Encoding: p.Encoding, Bytes: p.Size, ETag: p.ETag})
	}
	return s
}

// words says how a request would be answered, and how if no master answered.
func words(f *cache.Explanation, patience time.Duration) (now, outage string) {
	outage = "with an error: nothing stored may answer"
	if f.OnError == policy.StaleIfError {
		outage = "as it is stored, stale"
	}
	life := report.Age(f.TTL.Abs())
	switch f.Verdict {
	case policy.Fresh:
		now, outage = "at once: fresh for "+life, "at once as well, while it is fresh"
	case policy.StaleWhileRevalidate, policy.Stale:
		now = fmt.Sprintf("at once, stale since %s; a master is asked behind it", life)
	case policy.ValidateFirst:
		now = fmt.Sprintf("after a master is asked, stale since %s: as it is stored when none has answered for %v", life, patience)
	case policy.Validate:
		now = "after a master says that it still holds: stale since " + life
		if f.Mark == policy.MarkedStale {
			now = "after a master says that it still holds: a purge made it stale"
		} else if f.TTL > 0 {
			now = "after a master says that it still holds: it must be validated each time"
		}
	case policy.Complete:
		now = "by a fetch: only a part is stored"
	default:
		now = "by a fetch: nothing is stored"
	}
	if f.Fetching {
		now += "; a fetch is under way"
	}
	return now, outage
}
