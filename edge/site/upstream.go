package site

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
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

// Upstream returns the masters of a route: those of the private scope that it
// names, and no others, even if they fail; else the site's own. ok is false
// for a route that names several private scopes, for none of them may learn of
// the others.
func (s *Site) Upstream(r kind.Route) (u *Upstream, ok bool) {
	if len(s.scopes) == 0 {
		return &s.own, true
	}
	u = s.scopes[r.Scope]
	for _, name := range r.OtherScopes {
		other := s.scopes[name]
		if u != nil && other != nil && other != u {
			return nil, false
		}
		if other != nil {
			u = other
		}
	}
	if u == nil {
		u = &s.own
	}
	return u, true
}

// Upstreams are the site's own masters, and then those of its scopes.
func (s *Site) Upstreams() []*Upstream {
	all := []*Upstream{&s.own}
	for _, u := range s.scopes {
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b *Upstream) int { return strings.Compare(a.Scope, b.Scope) })
	return all
}

// HasScopes reports whether the site has private scopes.
func (s *Site) HasScopes() bool { return len(s.scopes) > 0 }

// Elsewhere reports whether a scope is private and has other masters than u.
func (s *Site) Elsewhere(scope string, u *Upstream) bool {
	return s.scopes[scope] != nil && scope != u.Scope
}

// DropsCredentials reports whether a client's credential is kept from the masters
// when they are read.
func (u *Upstream) DropsCredentials() bool { return u.authorized == config.AuthorizedIgnore }

// Key names a stored response. The keys of a private scope's responses differ
// from all of the site's own: a response stored before the scope was private is
// not its package. And a response that the edge read with a credential has no key
// for an edge with another credential, or none.
func (s *Site) Key(u *Upstream, r kind.Route) store.Key {
	return store.Key{Site: s.Name, ID: u.keyPrefix + r.Key, Group: r.Group, Metadata: r.Class == kind.Metadata}
}

// Form names the form in which the site's packuments are stored now. With another
// public URL, credential or document form they get other keys.
func (s *Site) Form() string {
	if s.Kind.ChangePath == nil {
		return ""
	}
	return ownerOf([]string{s.Key(&s.own, s.Route(http.MethodGet, s.Kind.ChangePath("a"), "", http.Header{})).ID})
}

// softTimeout is how long clients of a registry wait for a master when there is
// a stale answer.
const softTimeout = 700 * time.Millisecond

// Query asks the cache for a read of a registry. The registry's clients do not
// steer the cache: pnpm sends no-cache with every conditional request, and a
// registry's masters are not asked at that rate.
//
// Of the client's fields only its credential goes to a master, and only where
// the configuration does not have it dropped. Then the response is that
// credential's alone (docs/decisions/0005).
func (s *Site) Query(u *Upstream, r kind.Route, h http.Header) *cache.Query {
	q := &cache.Query{
		Key:     s.Key(u, r),
		Rule:    s.Rule(u, r),
		Variant: r.Variant,
		Memo:    kind.Summary,
		Request: policy.Request{Method: http.MethodGet, Control: policy.NoDirectives()},
	}
	if !s.Kind.Transparent && !u.Written(r) {
		q.SoftTimeout = softTimeout
	}
	forwarded, followed := hopFields(h), s.follows(u, r)
	if lines := h["Authorization"]; len(lines) > 0 && !s.Kind.Transparent && !u.DropsCredentials() {
		if forwarded == nil {
			forwarded = make(http.Header)
		}
		forwarded["Authorization"] = lines
		q.Request.Owner = ownerOf(lines)
		followed = false // whether it is stored is not known by its name, see cache.Holds
		if u.authorized == config.AuthorizedRevalidate {
			q.Request.Validate, q.SoftTimeout = true, 0
		}
	}
	if followed {
		q.Rule.OK.Min = max(q.Rule.OK.Min, s.feedLifetime(u, r))
	}
	q.Fetcher = fetcher{s, u, r, forwarded, followed}
	return q
}

// ownerOf names the owner of a credential without telling the credential.
func ownerOf(lines []string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// hopFields are the fields that tell which way a request came, nil when it came
// straight. No hop may drop them.
func hopFields(h http.Header) http.Header {
	via, loop := h["Via"], h["Cdn-Loop"]
	if len(via) == 0 && len(loop) == 0 {
		return nil
	}
	return http.Header{"Via": via, "Cdn-Loop": loop}
}

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
}
