package site

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
	"pkgedge/edge/config"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// Key names a stored response. The keys of a private scope's responses differ
// from all of the site's own: a response stored before the scope was private is
// not its package. And a response that the edge read with a credential has no key
// for an edge with another credential, or none.
func (s *Site) Key(u *Upstream, r kind.Route) store.Key {
	return store.Key{Site: s.Name, ID: u.keyPrefix + r.Key, Group: r.Group, Metadata: r.Class == kind.Metadata}
}

// Purged is the key by which purges cover a stored response, from its ID alone. It has
// no Metadata: purges of that sort leave nothing gone.
func (s *Site) Purged(id string) store.Key {
	k := store.Key{Site: s.Name, ID: id}
	if s.Kind.GroupOf != nil {
		_, key := s.keyed(id)
		k.Group = s.Kind.GroupOf(key)
	}
	return k
}

// keyed are the masters that a response with that ID comes from, and the key of its route.
func (s *Site) keyed(id string) (from *Upstream, key string) {
	from, key = &s.own, id
	for _, u := range s.Upstreams() {
		if rest, ok := strings.CutPrefix(id, u.keyPrefix); ok && u.keyPrefix != "" {
			from, key = u, rest
		}
	}
	return from, key
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
// a stale answer, unless the configuration says for how long.
const softTimeout = 500 * time.Millisecond

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
		Request: policy.Request{Method: http.MethodGet, Control: s.unsteered},
	}
	if !s.Kind.Transparent && !u.Written(r) {
		q.SoftTimeout = cmp.Or(s.metadata.Patience, softTimeout)
	}
	forwarded, followed := hopFields(h), s.follows(u, r)
	if lines := h["Authorization"]; len(lines) > 0 && !s.Kind.Transparent && !u.DropsCredentials() {
		if forwarded == nil {
			forwarded = make(http.Header)
		}
		forwarded["Authorization"] = lines
		q.Request.Owner = ownerOf(lines)
		followed = false // whether it is stored is not known by its name, see cache.Contains
		if u.authorized == config.AuthorizedRevalidate {
			q.Request.Validate, q.SoftTimeout = true, 0
		}
	}
	if followed {
		q.Rule.OK.Min = max(q.Rule.OK.Min, s.FeedLifetime(u, r))
	}
	q.Fetcher = fetcher{site: s, from: u, route: r, forwarded: forwarded, followed: followed}
	return q
}

// fetcher fetches one route for the cache.
type fetcher struct {
	site      *Site
	from      *Upstream
	route     kind.Route
	forwarded http.Header // the client's credential, and the way and the trace of its request
	followed  bool        // a feed tells of the route's changes
	another   bool        // another edge asks
}

var _ cache.Needer = fetcher{} // else every file would go unchecked

// Needs are the queries for the documents that list a file's digest, as the client
// that asked for the file may have them. They are not validated each time, even
// where the file is: a list's lifetime is not cut short for the file's sake. Nor is the
// validation of a stale one waited for: a digest that it has is right.
func (f fetcher) Needs() []*cache.Query {
	lists := f.from.Lists(f.route)
	needs := make([]*cache.Query, len(lists))
	for i, list := range lists {
		q := f.site.Query(f.from, list, f.forwarded)
		q.Variant = kind.Summary
		q.Request.Validate, q.Rule.Patience = false, 0
		needs[i] = q
	}
	return needs
}

func (f fetcher) Fetch(ctx context.Context, ask cache.FetchRequest, fill *cache.Fill) error {
	if ask.Header == nil {
		ask.Header = f.forwarded
	}
	received := fill.Received
	if f.site.keep != nil && f.kept(ask.Header) {
		received = func(ago time.Duration) {
			fill.Received(ago)
			fill.Committed(f.keep(ago == 0))
		}
		received(0)
	}
	err := f.from.Fetch(ctx, origin.Request{
		Route: f.route, Client: ask.Client, Followed: f.followed, Header: ask.Header, ETag: ask.ETag, LastModified: ask.LastModified, Summary: ask.Memo, Stale: ask.Stale,
		Head: ask.Head, Range: ask.Range, IfRange: ask.IfRange, Interim: fill.Interim, List: fill.Need,
		ForAnother: f.another, Purged: fill.Purged, Received: received,
	}, fill)
	if down := (*origin.Unavailable)(nil); errors.As(err, &down) && down.Unasked() {
		return fmt.Errorf("%w: %w", cache.ErrNotAsked, err)
	}
	return err
}

// Listed reports whether a stored document lists the file that q asks for.
func (s *Site) Listed(ctx context.Context, q *cache.Query) bool {
	d, ok := s.Entry(ctx, q)
	return ok && d.Withheld == ""
}

// Entry returns a stored document's entry of the file that q asks for.
func (s *Site) Entry(ctx context.Context, q *cache.Query) (d kind.Digest, ok bool) {
	f, ok := q.Fetcher.(fetcher)
	if !ok || f.route.Class != kind.File {
		return d, false
	}
	doc, ok := s.cache.Stored(ctx, q)
	if !ok {
		return d, false
	}
	return f.from.Digest(f.route, doc)
}

// ownerOf names the owner of a credential without telling the credential.
func ownerOf(lines []string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// hopFields are the fields that tell which way a request came, and of which trace it is a part; nil when
// there are none. No hop may drop them.
func hopFields(h http.Header) http.Header {
	via, loop, trace := h["Via"], h["Cdn-Loop"], h["Traceparent"]
	if len(via) == 0 && len(loop) == 0 && len(trace) == 0 {
		return nil
	}
	return http.Header{"Via": via, "Cdn-Loop": loop, "Traceparent": trace, "Tracestate": h["Tracestate"]}
}

// rules are the lifetimes that the configuration gives to metadata and to files.
func rules(s *config.Site) (metadata, files policy.Rule) {
	rule := policy.Rule{
		Missing: policy.AtMost(s.Fresh.Missing),
		Grace:   policy.Window{Default: s.Stale.WhileRevalidate},
		Keep:    policy.Window{Default: s.Stale.IfError},
	}
	if s.Stale.Override {
		rule.Grace.Min, rule.Keep.Min = rule.Grace.Default, rule.Keep.Default
	}
	moving, lasting := orStated, orStated
	if s.Kind.OneLifetime {
		moving, lasting = policy.AtMost, policy.Exactly
	}
	if s.Fresh.Override {
		moving, lasting = policy.Exactly, policy.Exactly
	}
	metadata, files = withLifetime(rule, s.Fresh.Metadata, moving), withLifetime(rule, s.Fresh.Files, lasting)
	if !s.Kind.Transparent {
		metadata.Patience = s.Stale.Patience
	}
	return metadata, files
}

// orStated is the operator's lifetime for a response that states none.
func orStated(d time.Duration) policy.Clamp { return policy.Clamp{Default: d} }

// withLifetime gives a rule the lifetime of a 200, or the heuristic.
func withLifetime(rule policy.Rule, fresh time.Duration, clamp func(time.Duration) policy.Clamp) policy.Rule {
	if fresh == kind.Heuristic {
		rule.Heuristic = true
	} else {
		rule.OK = clamp(fresh)
	}
	return rule
}

// Rule is the operator's word on a route's responses. The windows in which a stale
// one may be used do not run out in an outage, and there is nothing to wait for.
func (s *Site) Rule(u *Upstream, r kind.Route) policy.Rule {
	rule := s.files
	if changes(r) {
		rule = s.metadata
	}
	rule.Heuristic = rule.Heuristic || r.Settles
	if down := u.Outage(r.Class, time.Now()); down > 0 {
		rule.Keep, rule.Patience = rule.Keep.Plus(down), 0
	}
	return rule
}

// follows reports whether the site's feed, live or not, tells of each change of a
// route's responses.
func (s *Site) follows(u *Upstream, r kind.Route) bool {
	return s.feed != nil && s.feedFreshness > 0 && u == &s.own && r.InFeed
}

// FeedLifetime is the lifetime that the feed gives a route's responses, 0 for
// none: while it is not live, the usual lifetimes hold.
func (s *Site) FeedLifetime(u *Upstream, r kind.Route) time.Duration {
	if !s.follows(u, r) || !s.feed.Live() {
		return 0
	}
	return s.feedFreshness
}

// ClientLifetime is the lifetime that a client is told for a response which is not for
// its credential alone. ask has it ask before each use.
//
// Of metadata it is the operator's, where there is one. A client that does not subtract
// Age, as npm, has it from when it got the response, and others have less: never more.
// A stale response, and one that is no document, are told with the remaining lifetime at
// most.
//
// Otherwise it is the remaining lifetime, and no more than the master lets clients have. A
// client asks as often as if there were no feed, for the feed does not reach it: after the
// lifetime that the response had on arrival, not after the rest of it, since the feed has
// confirmed the response until now.
func (s *Site) ClientLifetime(r kind.Route, a *cache.Answer) (life time.Duration, ask bool) {
	rule, left, says := &s.files, a.TTL, a.Clients()
	if changes(r) {
		rule = &s.metadata
	}
	if s.feed != nil && r.InFeed {
		left = min(left, a.Response.TTL(a.ResponseTime, s.metadata))
	}
	switch {
	case rule.OK.Min > 0: // fresh.override
		says = policy.Clients{MaxAge: policy.Forever}
	case s.Kind.OneLifetime && !says.Ask: // which is right for no path
		says.MaxAge = policy.Forever
	}
	left = max(0, min(left, says.MaxAge))
	switch {
	case s.clients == config.Remaining || !changes(r):
		return left, says.Ask
	case a.TTL > 0 && a.Status == http.StatusOK && !says.Ask:
		return s.clients, s.clients == 0
	}
	return min(left, s.clients), says.Ask || s.clients == 0
}

// changes reports whether a route's responses change, as metadata does.
func changes(r kind.Route) bool { return r.Class == kind.Metadata || r.Moving }
