package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/origin"
	"pkgedge/origin/kind"
	"pkgedge/origin/kinds"
)

// site is one registry as the edge serves it.
type site struct {
	name     string
	prefix   string               // begins and ends with "/"
	hosts    []string             // lower case; empty for any
	kind     *kind.Descriptor
	redactor kind.Redactor // nil where the kind takes nothing out of bodies
	own      upstream             // the site's own masters
	scopes   map[string]*upstream // those of its private scopes, by their names
	reading  chan struct{}        // a place for each large body that is read whole on its way
	decoding chan struct{}        // and for each that is decoded
	lease    *lease               // running configurations and fetches
	cache    *cache.Cache
	metadata policy.Rule
	files    policy.Rule
	releases releases
	feed     *following    // the changes that are followed; nil for none
	fresh    time.Duration // lifetime of what the feed names while it is live
	secret   string        // of the hook; "" for none
	hooks    *hooks        // those of all sites
}

// newSite builds a site, whose masters are supervised from now on.
func (e *edge) newSite(cfg *Config, s *Site) (*site, error) {
	d := kind.ByName(kinds.All(), s.Kind)
	if d == nil {
		return nil, fmt.Errorf("no such kind of site: %q", s.Kind)
	}
	t := &site{
		name: s.Name, prefix: s.Path, hosts: s.Hosts, kind: d, cache: e.cache,
		lease: newLease(), scopes: make(map[string]*upstream), reading: make(chan struct{}, maxPassed), decoding: make(chan struct{}, maxPassed),
	}
	own := Scope{Masters: s.Masters, Files: s.Files, Credentials: s.Credentials, Authorized: s.Authorized}
	if err := e.reach(&t.own, t, cfg, s, &own, 0); err != nil {
		return nil, err
	}
	first := len(s.Masters) + len(s.Files)
	for i := range s.Scopes {
		from, u := &s.Scopes[i], new(upstream)
		if err := e.reach(u, t, cfg, s, from, first); err != nil {
			t.close()
			return nil, err
		}
		t.scopes[from.Name] = u
		first += len(from.Masters) + len(from.Files)
	}
	t.releases.age = s.MinimumAge
	rule := policy.Rule{
		Missing:         s.Fresh.Missing,
		Override:        s.Fresh.Override,
		WhileRevalidate: s.Stale.WhileRevalidate,
		IfError:         s.Stale.IfError,
		Insist:          s.Stale.Override,
	}
	t.metadata, t.files = lifetime(rule, s.Fresh.Metadata), lifetime(rule, s.Fresh.Files)
	t.redactor, _ = t.own.Kind.(kind.Redactor)
	if d.OneLifetime {
		t.metadata.Bound, t.files.Override = true, true
	}
	return t, nil
}

// reach connects u to the masters of t, or of one of its scopes, the first of
// which has that number in the status.
func (e *edge) reach(u *upstream, t *site, cfg *Config, s *Site, from *Scope, first int) error {
	name := strings.TrimSuffix(s.Name+" "+from.Name, " ")
	age := s.MinimumAge
	if from.Name != "" {
		age = 0 // what is published there is not a stranger's
	}
	o, err := origin.New(origin.Config{
		Site:        name,
		Kind:        *t.kind,
		PublicBase:  cfg.Public(s).String(),
		Masters:     upstreams(from.Masters),
		Files:       upstreams(from.Files),
		First:       first,
		Credentials: from.Credentials,
		Probe:       origin.Probe(s.Probe),
		Log:         e.log,
		Timeouts:    origin.Timeouts{Connect: s.Timeouts.Connect, FirstByte: s.Timeouts.FirstByte, Idle: s.Timeouts.Idle},
		MaxMetadata: cfg.Cache.MaxMetadata,
		Documents:   e.documents,
		Identity:    e.identity,
		MinimumAge:  age,
		Settings:    s.settings(),
		Digests: func(ctx context.Context, list kind.Route, h http.Header, renew bool) ([]byte, error) {
			return t.digests(ctx, u, list, h, renew)
		},
		Observe: func(master, result string) { e.metrics.Origin(s.Name, master, result) },
	})
	if err != nil {
		return fmt.Errorf("site %s: %w", name, err)
	}
	*u = upstream{Site: o, lease: t.lease, scope: from.Name, authorized: from.Authorized}
	if from.Name != "" || from.Credentials != "" {
		u.part = strings.TrimPrefix(from.Name+" "+ownerOf([]string{from.Credentials})+" ", " ")
	}
	return nil
}

func upstreams(masters []Master) []origin.Upstream {
	all := make([]origin.Upstream, len(masters))
	for i, m := range masters {
		all[i] = origin.Upstream{URL: m.URL, Primary: m.Role == RolePrimary, Spare: m.Role == RoleSpare}
	}
	return all
}

// lifetime gives a rule its freshness lifetime, or has it guessed.
func lifetime(r policy.Rule, fresh time.Duration) policy.Rule {
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

// close ends the supervision of the masters. No request may be under way.
func (s *site) close() {
	for _, u := range s.upstreams() {
		u.Close()
	}
}

// touched makes stale what a successful write at u changed.
func (s *site) touched(u *upstream, marks []kind.Mark) error {
	for _, m := range marks {
		p := cache.Purge{Site: s.name, Name: m.Name, Soft: true}
		switch m.Scope {
		case kind.GroupMetadata:
			p.Scope = cache.ScopeGroupMetadata
		case kind.GroupAll:
			p.Scope = cache.ScopeGroup
		case kind.OneKey:
			p.Scope, p.Name = cache.ScopeKey, s.key(u, kind.Route{Key: m.Name}).ID
		}
		if err := s.cache.Purge(p); err != nil {
			return err
		}
	}
	return nil
}
