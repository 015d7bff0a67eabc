package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"pkgedge/cache"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// site is one registry as the edge serves it.
type site struct {
	name     string
	prefix   string   // begins and ends with "/"
	hosts    []string // lower case; empty for any
	plain    bool     // the files kind: RFC 9111 and what the client says
	origin   *origin.Site
	cache    *cache.Cache
	metadata cache.Rule
	files    cache.Rule
}

func newSite(cfg *Config, s *Site, c *cache.Cache, identity string, observe func(site, master, result string), log *slog.Logger) (*site, error) {
	t := &site{name: s.Name, prefix: s.Path, hosts: s.Hosts, plain: s.Kind == KindFiles, cache: c}
	var err error
	t.origin, err = origin.New(origin.Config{
		Site:        s.Name,
		Kind:        s.Kind,
		PublicBase:  cfg.Public(s).String(),
		Masters:     upstreams(s.Masters),
		Files:       upstreams(s.Files),
		Probe:       origin.Probe(s.Probe),
		Log:         log,
		Timeouts:    origin.Timeouts{Connect: s.Timeouts.Connect, FirstByte: s.Timeouts.FirstByte, Idle: s.Timeouts.Idle},
		MaxMetadata: cfg.Cache.MaxMetadata,
		Identity:    identity,
		Deny:        s.Deny,
		MinimumAge:  s.MinimumAge,
		Digests:     t.digests,
		Observe:     func(master, result string) { observe(s.Name, master, result) },
	})
	if err != nil {
		return nil, fmt.Errorf("site %s: %w", s.Name, err)
	}
	rule := cache.Rule{
		Missing:         s.Fresh.Missing,
		Override:        s.Fresh.Override,
		WhileRevalidate: s.Stale.WhileRevalidate,
		IfError:         s.Stale.IfError,
		Insist:          s.Stale.Override,
	}
	t.metadata, t.files = lifetime(rule, s.Fresh.Metadata), lifetime(rule, s.Fresh.Files)
	return t, nil
}

func upstreams(masters []Master) []origin.Upstream {
	all := make([]origin.Upstream, len(masters))
	for i, m := range masters {
		all[i] = origin.Upstream{URL: m.URL, Primary: m.Role == RolePrimary, Spare: m.Role == RoleSpare}
	}
	return all
}

// lifetime gives a rule its freshness lifetime, or has it guessed.
func lifetime(r cache.Rule, fresh time.Duration) cache.Rule {
	if fresh == Guess {
		r.Heuristic = true
		return r
	}
	r.Fresh = fresh
	return r
}

// below returns the part of an escaped path under the site's prefix, with its
// leading slash.
func (s *site) below(host, path string) (string, bool) {
	if len(s.hosts) > 0 && !slices.Contains(s.hosts, hostname(host)) {
		return "", false
	}
	if path == s.prefix[:len(s.prefix)-1] { // the prefix without its slash
		return "/", true
	}
	if !strings.HasPrefix(path, s.prefix) {
		return "", false
	}
	return path[len(s.prefix)-1:], true
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		hostport = host
	}
	return strings.ToLower(hostport)
}

func (s *site) key(r kind.Route) cache.Key {
	return cache.Key{Site: s.name, ID: r.Key, Group: r.Group, Metadata: r.Class == kind.Metadata}
}

// patience is how long clients of a registry wait for a master when there is a
// stale answer.
const patience = 700 * time.Millisecond

// rule is what the configuration says of a route's responses. The windows in
// which a stale one may be used do not run out in an outage.
func (s *site) rule(r kind.Route) cache.Rule {
	rule := s.files
	if r.Class == kind.Metadata || r.Moving {
		rule = s.metadata
	}
	if down := s.origin.Outage(r.Class, time.Now()); down > 0 && rule.IfError > 0 && rule.IfError < cache.Forever-down {
		rule.IfError += down
	}
	if !s.plain && !s.origin.Written(r) {
		rule.Patience = patience
	}
	return rule
}

// digests returns the stored document that lists a file's digest, fetched if
// need be.
func (s *site) digests(ctx context.Context, list kind.Route, renew bool) ([]byte, error) {
	q := &cache.Query{
		Key:     s.key(list),
		Rule:    s.rule(list),
		Variant: kind.Memo,
		Memo:    kind.Memo,
		Fetcher: fetcher{site: s, route: list},
		Request: cache.Request{Method: http.MethodGet, Control: cache.NoControl()},
	}
	if q.Request.Control.NoCache = renew; renew {
		q.Rule.Patience = 0 // the older list is what is in doubt
	}
	a, err := s.cache.Get(ctx, q)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	if a.Status != http.StatusOK || a.Part.Variant != kind.Memo {
		return nil, fmt.Errorf("cannot list digests: the master answers %d", a.Status)
	}
	body, err := a.Body(ctx, 0)
	if err != nil {
		return nil, err
	}
	doc := make([]byte, a.Part.Size)
	_, err = io.ReadFull(body, doc)
	return doc, err
}

// touched makes stale what a successful write changed.
func (s *site) touched(marks []kind.Mark) error {
	for _, m := range marks {
		p := cache.Purge{Site: s.name, Name: m.Name, Soft: true}
		switch m.Scope {
		case kind.GroupMetadata:
			p.Scope = cache.ScopeGroupMetadata
		case kind.GroupAll:
			p.Scope = cache.ScopeGroup
		case kind.OneKey:
			p.Scope = cache.ScopeKey
		}
		if err := s.cache.Purge(p); err != nil {
			return err
		}
	}
	return nil
}

// fetcher is what the cache asks for one route.
type fetcher struct {
	site  *site
	route kind.Route
	// passed is what the request that caused the fetch says of the way it came:
	// Via and CDN-Loop, which no hop may drop.
	passed http.Header
}

func (f fetcher) Fetch(ctx context.Context, ask cache.Ask, fill *cache.Fill) error {
	if ask.Header == nil {
		ask.Header = f.passed
	}
	return f.site.origin.Fetch(ctx, origin.Ask{
		Route: f.route, Header: ask.Header, ETag: ask.ETag, LastModified: ask.LastModified, Memo: ask.Memo, Stale: ask.Stale,
		Head: ask.Head, Range: ask.Range, IfRange: ask.IfRange, Interim: fill.Interim,
	}, fill)
}
