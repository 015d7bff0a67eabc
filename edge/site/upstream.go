package site

import (
	"context"
	"fmt"
	"net/http"

	"pkgedge/edge/config"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// Upstream is the masters of a site, or those of one of its private scopes.
type Upstream struct {
	*origin.Site
	Scope string // "@acme"; "" for the site's own masters

	authorized config.Authorized // how reads that carry a credential are treated
	keyPrefix  string            // of the responses stored from there; see Key
}

// DropsCredentials reports whether a client's credential is kept from the masters
// when they are read.
func (u *Upstream) DropsCredentials() bool { return u.authorized == config.AuthorizedIgnore }

<<<<<<< HEAD
// digests returns the stored document that lists a file's digest. It is fetched
// if need be, as the client that asked for the file may have it, whose fields are
// h. With renew it is validated: its lifetime is not for the file's sake.
func (s *Site) digests(ctx context.Context, u *Upstream, list kind.Route, h http.Header, renew bool) ([]byte, error) {
	q := s.Query(u, list, h)
	q.Variant = kind.Summary
	if q.Request.Validate = renew; renew {
		q.SoftTimeout = 0 // the older list may be wrong
	}
	for retried := false; ; retried = true {
		a, err := s.cache.Get(ctx, q)
		if err != nil {
			return nil, err
		}
		if a.Status != http.StatusOK || a.Part.Variant != kind.Summary {
			a.Close()
			return nil, fmt.Errorf("cannot list digests: the master answers %d", a.Status)
		}
		live := a.Live()
		doc, err := a.Other(ctx, kind.Summary)
		a.Close()
		if err == nil || retried || live {
			return doc, err
		}
		// The stored document is damaged, and out of the way by now.
	}
=======
// fetcher fetches one route for the cache.
type fetcher struct {
	site      *Site
	from      *Upstream
	route     kind.Route
	forwarded http.Header // the client's credential, and the way its request came
	followed  bool        // a feed tells of the route's changes
}

var _ cache.Needer = fetcher{} // else every file would go unchecked

// Needs are the queries for the documents that list a file's digest, as the client
// that asked for the file may have them. They are not validated each time, even
// where the file is: a list's lifetime is not cut short for the file's sake.
func (f fetcher) Needs() []*cache.Query {
	lists := f.from.Lists(f.route)
	needs := make([]*cache.Query, len(lists))
	for i, list := range lists {
		q := f.site.Query(f.from, list, f.forwarded)
		q.Variant = kind.Summary
		q.Request.Validate = false
		needs[i] = q
	}
	return needs
}

func (f fetcher) Fetch(ctx context.Context, ask cache.Ask, fill *cache.Fill) error {
	if ask.Header == nil {
		ask.Header = f.forwarded
	}
	err := f.from.Fetch(ctx, origin.Request{
		Route: f.route, Followed: f.followed, Header: ask.Header, ETag: ask.ETag, LastModified: ask.LastModified, Summary: ask.Memo, Stale: ask.Stale,
		Head: ask.Head, Range: ask.Range, IfRange: ask.IfRange, Interim: fill.Interim, List: fill.Need,
	}, fill)
	if down := (*origin.Unavailable)(nil); errors.As(err, &down) && down.Unasked() {
		return fmt.Errorf("%w: %w", cache.ErrNotAsked, err)
	}
	return err
>>>>>>> main
}
