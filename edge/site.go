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
	"pkgedge/cache/purge"
	"pkgedge/edge/config"
	"pkgedge/edge/redact"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// site is one registry as the edge serves it.
type site struct {
	name     string
	prefix   string   // begins and ends with "/"
	hosts    []string // lower case; empty for any
	kind     *kind.Descriptor
	names    kind.Redactor        // takes names out of bodies; nil where the kind has no such routes
	own      upstream             // the site's own masters
	scopes   map[string]*upstream // those of its private scopes, by their names
	redactor *redact.Redactor     // of the bodies that pass
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
func (e *edge) newSite(cfg *config.Config, s *config.Site) (*site, error) {
	t := &site{
		name: s.Name, prefix: s.Path, hosts: s.Hosts, kind: s.Kind, cache: e.cache,
		lease: newLease(), scopes: make(map[string]*upstream), redactor: redact.New(),
	}
	own := config.Scope{Masters: s.Masters, Files: s.Files, Credentials: s.Credentials, Authorized: s.Authorized}
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
	t.names, _ = t.own.Kind.(kind.Redactor)
	t.releases.age = s.MinimumAge
	t.metadata, t.files = rules(s)
	return t, nil
}

// reach connects u to the masters of t, or of one of its scopes, the first of
// which has that number in the status.
func (e *edge) reach(u *upstream, t *site, cfg *config.Config, s *config.Site, from *config.Scope, first int) error {
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
		Settings:    s.Settings,
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

func upstreams(masters []config.Master) []origin.Upstream {
	all := make([]origin.Upstream, len(masters))
	for i, m := range masters {
		all[i] = origin.Upstream{URL: m.URL, Primary: m.Role == config.RolePrimary, Spare: m.Role == config.RoleSpare}
	}
	return all
}

// rules returns the rules for metadata and for files.
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
	return withLifetime(rule, s.Fresh.Metadata, moving), withLifetime(rule, s.Fresh.Files, lasting)
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
func (s *site) touched(u *upstream, marks []kind.Invalidation) error {
	for _, m := range marks {
		p := purge.Purge{Site: s.name, Name: m.Name, Soft: true}
		switch m.Scope {
		case kind.GroupMetadata:
			p.Scope = purge.GroupMetadata
		case kind.GroupAll:
			p.Scope = purge.Group
		case kind.OneKey:
			p.Scope, p.Name = purge.Key, s.key(u, kind.Route{Key: m.Name}).ID
		}
		if err := s.cache.Purge(p); err != nil {
			return err
		}
	}
	return nil
}
