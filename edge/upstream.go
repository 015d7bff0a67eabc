package main

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

// upstream is the masters of a site, or those of one of its scopes, and how reads
// that carry a credential are treated there.
type upstream struct {
	*origin.Site
	lease      *lease // the site's
	scope      string // "@acme"; "" for the site's own masters
	part       string // begins the keys of what is stored from there; see key
	authorized config.Authorized
}

// upstream returns who is asked for a route: the masters of the private scope
// that it names, and nobody else, whatever they answer; else the site's own.
// ok is false for what names several private scopes, which is for none of them
// to know.
func (s *site) upstream(r kind.Route) (u *upstream, ok bool) {
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

// upstreams are the site's own masters, and then those of its scopes.
func (s *site) upstreams() []*upstream {
	all := []*upstream{&s.own}
	for _, u := range s.scopes {
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b *upstream) int { return strings.Compare(a.scope, b.scope) })
	return all
}

// key names a stored response. What a private scope's masters sent has a name
// that nothing of the site's own masters can have: what was stored before the
// scope was private is not its package. And what the edge could read with a
// credential is not there for whoever comes when it has another one, or none.
func (s *site) key(u *upstream, r kind.Route) store.Key {
	return store.Key{Site: s.name, ID: u.part + r.Key, Group: r.Group, Metadata: r.Class == kind.Metadata}
}

// softTimeout is how long clients of a registry wait for a master when there is
// a stale answer.
const softTimeout = 700 * time.Millisecond

// rule is what the configuration says of a route's responses. The windows in
// which a stale one may be used do not run out in an outage.
func (s *site) rule(u *upstream, r kind.Route) policy.Rule {
	rule := s.files
	if r.Class == kind.Metadata || r.Moving {
		rule = s.metadata
	}
	rule.Heuristic = rule.Heuristic || r.Settles
	if down := u.Outage(r.Class, time.Now()); down > 0 {
		rule.Keep = rule.Keep.Plus(down)
	}
	return rule
}

// ask says what is wanted of the cache for a read of a registry. Its clients do
// not steer the cache: pnpm sends no-cache with every conditional request, and a
// registry's masters are not asked at that rate.
//
// Of the client's fields only its credential goes to a master, and only where
// the configuration does not have it dropped. Then the response is that
// credential's alone (docs/decisions/0005).
func (s *site) ask(u *upstream, r kind.Route, h http.Header) *cache.Query {
	q := &cache.Query{
		Key:     s.key(u, r),
		Rule:    s.rule(u, r),
		Variant: r.Variant,
		Memo:    kind.Summary,
		Request: policy.Request{Method: http.MethodGet, Control: policy.NoDirectives()},
	}
	if !s.kind.Transparent && !u.Written(r) {
		q.SoftTimeout = softTimeout
	}
	passed, followed := hops(h), s.follows(u, r)
	if lines := h["Authorization"]; len(lines) > 0 && !s.kind.Transparent && u.authorized != config.AuthorizedIgnore {
		if passed == nil {
			passed = make(http.Header)
		}
		passed["Authorization"] = lines
		q.Request.Owner = ownerOf(lines)
		followed = false // whether it is stored is not known by its name, see cache.Holds
		if u.authorized == config.AuthorizedRevalidate {
			q.Request.Validate, q.SoftTimeout = true, 0
		}
	}
	if followed {
		q.Rule.OK.Min = max(q.Rule.OK.Min, s.announced(u, r))
	}
	q.Fetcher = fetcher{u, r, passed, followed}
	return q
}

// ownerOf names whoever has a credential, without telling it.
func ownerOf(lines []string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// hops is the part of a request's fields that tells the way it came, nil when it
// came straight.
func hops(h http.Header) http.Header {
	via, loop := h["Via"], h["Cdn-Loop"]
	if len(via) == 0 && len(loop) == 0 {
		return nil
	}
	return http.Header{"Via": via, "Cdn-Loop": loop}
}

// digests returns the stored document that lists a file's digest, fetched if
// need be, as the one who asked for the file may have it. Its lifetime is not
// for the file's sake: with renew alone it is validated.
func (s *site) digests(ctx context.Context, u *upstream, list kind.Route, h http.Header, renew bool) ([]byte, error) {
	q := s.ask(u, list, h)
	q.Variant = kind.Summary
	if q.Request.Validate = renew; renew {
		q.SoftTimeout = 0 // the older list is what is in doubt
	}
	for again := false; ; again = true {
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
		if err == nil || again || live {
			return doc, err
		}
		// What was stored is damaged, and out of the way by now.
	}
}

// fetcher is what the cache asks for one route.
type fetcher struct {
	from  *upstream
	route kind.Route
	// passed is what a master is told of the client's request: a credential, and
	// the way it came, Via and CDN-Loop, which no hop may drop.
	passed http.Header
	// followed: a feed tells of the route's changes.
	followed bool
}

// Hold keeps the site for as long as a fetch for it is under way.
func (f fetcher) Hold() (release func()) {
	f.from.lease.take() // whoever asks has it
	return f.from.lease.drop
}

func (f fetcher) Fetch(ctx context.Context, ask cache.Ask, fill *cache.Fill) error {
	if ask.Header == nil {
		ask.Header = f.passed
	}
	err := f.from.Fetch(ctx, origin.Ask{
		Route: f.route, Followed: f.followed, Header: ask.Header, ETag: ask.ETag, LastModified: ask.LastModified, Memo: ask.Memo, Stale: ask.Stale,
		Head: ask.Head, Range: ask.Range, IfRange: ask.IfRange, Interim: fill.Interim,
	}, fill)
	if down := (*origin.Unavailable)(nil); errors.As(err, &down) && down.Unasked() {
		return fmt.Errorf("%w: %w", cache.ErrNotAsked, err)
	}
	return err
}
