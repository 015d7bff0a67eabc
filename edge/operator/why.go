package operator

import (
	"context"
	"fmt"
	"time"

	"pkgedge/edge/admin"
	"pkgedge/edge/site"
)

// Explainer says for an operator how requests would be answered.
type Explainer struct {
	Sites func() site.Table // those that serve
}

// Explain implements [admin.Explainer].
func (e Explainer) Explain(ctx context.Context, q admin.Question) ([]admin.Why, error) {
	places, err := asked(e.Sites(), q)
	if err != nil {
		return nil, err
	}
	var all []admin.Why
	for _, p := range places {
		x := p.Explain(ctx)
		all = append(all, admin.Why{
			Site: x.Site, Path: x.Path, What: x.Endpoint, Stored: storedOf(&x), Fetching: x.Fetching,
			Digest: x.Digest, Withheld: x.Withheld, Now: x.Now, Outage: x.Outage,
		})
	}
	return all, nil
}

// asked lists the responses that a question is about: for a package its document in each site
// that has packages.
func asked(sites site.Table, q admin.Question) (all []site.Place, err error) {
	if q.URL != "" {
		p, err := placeOf(sites, q.Site, q.URL)
		return []site.Place{p}, err
	}
	known := false
	for _, s := range sites {
		if q.Site != "" && s.Name != q.Site {
			continue
		}
		known = true
		if p, ok := s.DocumentOf(q.Package); ok {
			all = append(all, p)
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

// storedOf describes the stored response, nil for none.
func storedOf(x *site.Explanation) *admin.Stored {
	m := x.Stored
	if m == nil {
		return nil
	}
	s := &admin.Stored{
		Status: m.Status, Master: m.From, Fetched: m.ResponseTime.UTC().Truncate(time.Second),
		Age: int64(x.Age / time.Second), TTL: int64(x.TTL / time.Second), Purged: x.Purged,
		ETag: m.Header.Get("Etag"), LastModified: m.Header.Get("Last-Modified"),
	}
	if x.InMemory {
		s.Tiers = append(s.Tiers, "memory")
	}
	if x.OnDisk {
		s.Tiers = append(s.Tiers, "disk")
	}
	for _, p := range x.Parts {
		s.Variants = append(s.Variants, admin.Variant{Name: p.Variant, Encoding: p.Encoding, Bytes: p.Size, ETag: p.ETag})
	}
	return s
}
