package site

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/edge/config"
	"pkgedge/edge/redact"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// Site is one registry as the edge serves it. It is immutable once it serves,
// and safe for concurrent use.
type Site struct {
	Name          string
	Hosts         []string // lower case; empty for any
	Kind          *kind.Descriptor
	Names         kind.Redactor    // takes names out of bodies; nil where the kind has no such routes
	Redactor      *redact.Redactor // of the bodies that pass
	WebhookSecret string           // signs the messages of its webhook; "" for none
	MinimumAge    time.Duration    // of the releases that are served; 0 for any

	prefix        string               // begins and ends with "/"
	own           Upstream             // the site's own masters
	scopes        map[string]*Upstream // those of its private scopes, by the scopes' names
	login         *Upstream            // those that know the clients' accounts
	cache         *cache.Cache
	announce      Announce
	keep          Keep              // see Deps
	unsteered     policy.Directives // of a client that may not steer the cache
	metadata      policy.Rule
	files         policy.Rule
	clients       time.Duration // see config.Fresh
	releases      releases
	feed          Feed          // nil for none
	feedFreshness time.Duration // lifetime of a followed document while the feed is live
}

// Feed tells of changes of the site's packages.
type Feed interface {
	// Live reports whether every change is known within about a second. While it
	// is not, the usual lifetimes hold.
	Live() bool
}

// Deps are the parts that all sites share.
type Deps struct {
	Cache     *cache.Cache
	Documents *origin.Documents
	Masters   *origin.Registry // the knowledge of masters, which outlives configurations
	Identity  string           // this edge's name in Via and CDN-Loop
	Log       *slog.Logger
	Nearer    func(site string) []origin.Nearer // are asked before the site's own masters; nil for none
	Keep      Keep                              // is given each file that all may have and a master gave; nil for none
	Observe   func(site, master, result string) // is told how each request to a master ended
	Announce  Announce                          // tells the other edges of purges; nil for an edge alone
}

// New returns a site, whose masters are supervised until Close.
func New(cfg *config.Config, s *config.Site, deps Deps) (*Site, error) {
	t := &Site{
		Name: s.Name, Hosts: s.Hosts, Kind: s.Kind, Redactor: redact.New(),
		prefix: s.Path, scopes: make(map[string]*Upstream), cache: deps.Cache, keep: deps.Keep, announce: deps.Announce,
	}
	t.MinimumAge, t.releases.age = s.MinimumAge.For, s.MinimumAge.For
	t.unsteered = policy.NoDirectives()
	t.WebhookSecret = s.Changes.Secret
	own := config.Scope{Masters: s.Masters, Files: s.Files, Credentials: s.Credentials, Authorized: s.Authorized}
	if err := t.connect(&t.own, cfg, s, &own, 0, deps); err != nil {
		return nil, err
	}
	t.login = &t.own
	first := len(s.Masters) + len(s.Files)
	for i := range s.Scopes {
		from, u := &s.Scopes[i], new(Upstream)
		if err := t.connect(u, cfg, s, from, first, deps); err != nil {
			t.Close()
			return nil, err
		}
		t.scopes[from.Name] = u
		if from.Login {
			t.login = u
		}
		first += len(from.Masters) + len(from.Files)
	}
	t.Names, _ = t.own.Kind.(kind.Redactor)
	t.metadata, t.files = rules(s)
	t.clients = s.Fresh.Clients
	for _, u := range t.Upstreams() {
		u.Start()
	}
	return t, nil
}

// connect makes u the masters of the site, or of one of its scopes. The first of
// them has that number in the status.
func (s *Site) connect(u *Upstream, cfg *config.Config, conf *config.Site, from *config.Scope, first int, deps Deps) error {
	name := strings.TrimSuffix(conf.Name+" "+from.Name, " ")
	age := conf.MinimumAge.For
	if from.Name != "" {
		age = 0 // a private scope has no strangers' releases
	}
	var nearer []origin.Nearer
	if deps.Nearer != nil && from.Name == "" && from.Credentials == "" {
		nearer = deps.Nearer(conf.Name)
	}
	o, err := origin.New(origin.Config{
		Site:        name,
		Kind:        *s.Kind,
		PublicBase:  cfg.Public(conf).String(),
		Masters:     upstreams(from.Masters),
		Files:       upstreams(from.Files),
		First:       first,
		Credentials: from.Credentials,
		Probe:       origin.Probe(conf.Probe),
		Log:         deps.Log,
		Timeouts:    origin.Timeouts(conf.Timeouts),
		MaxMetadata: cfg.Cache.MaxMetadata,
		Documents:   deps.Documents,
		Registry:    deps.Masters,
		Nearer:      nearer,
		Owns:        func(path string) bool { return s.owns(u, path) },
		Identity:    deps.Identity,
		MinimumAge:  age,
		Exempt:      conf.MinimumAge.Exempt,
		Settings:    conf.Settings,
		Observe:     func(master, result string) { deps.Observe(conf.Name, master, result) },
	})
	if err != nil {
		return fmt.Errorf("site %s: %w", name, err)
	}
	*u = Upstream{Site: o, Scope: from.Name, authorized: from.Authorized}
	if from.Name != "" || from.Credentials != "" {
		u.keyPrefix = strings.TrimPrefix(from.Name+" "+ownerOf([]string{from.Credentials})+" ", " ")
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

// Follow gives the site its feed, before it serves. Followed documents then have
// the lifetime fresh while the feed is live; 0 leaves them their usual one.
func (s *Site) Follow(feed Feed, fresh time.Duration) { s.feed, s.feedFreshness = feed, fresh }

// takes reports whether the site answers requests for a host. Any port is right: a
// proxy or a port mapping before the edge may have changed it.
func (s *Site) takes(host string) bool {
	return len(s.Hosts) == 0 || slices.Contains(s.Hosts, HostOf(host))
}

// Below returns the part of an escaped path under the site's prefix, with its
// leading slash. ok is false for a request that is not this site's. Slashes in a row
// are one to a registry: a base URL that ends with a slash gives "/npm//left-pad". A
// transparent site's path is its origin's, to the letter.
func (s *Site) Below(host, path string) (below string, ok bool) {
	if !s.takes(host) {
		return "", false
	}
	if !s.Kind.Transparent && strings.Contains(path, "//") {
		path = kind.JoinSlashes(path)
	}
	if path == s.prefix[:len(s.prefix)-1] { // the prefix without its slash
		return "/", true
	}
	if !strings.HasPrefix(path, s.prefix) {
		return "", false
	}
	return path[len(s.prefix)-1:], true
}

// Route is the route of a request for a path below the site.
func (s *Site) Route(method, path, query string, h http.Header) kind.Route {
	return s.own.Route(kind.Request{Method: method, Path: path, Query: query, Header: h})
}

// Upstream returns the masters of a route: those of the private scope that it
// names, and no others, even if they fail; else the site's own. A client's account is
// known to those of one scope, where the configuration says so. ok is false
// for a route that names several private scopes, for none of them may learn of
// the others.
func (s *Site) Upstream(r kind.Route) (u *Upstream, ok bool) {
	if len(s.scopes) == 0 {
		return &s.own, true
	}
	if r.Account != kind.NoAccount {
		return s.login, true
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

// owns reports whether a path below the site is for u, as the scopes are now.
func (s *Site) owns(u *Upstream, path string) bool {
	now, ok := s.Upstream(s.Route(http.MethodGet, path, "", http.Header{}))
	return ok && now == u
}

// Close ends the supervision of the masters. Requests under way may go on.
func (s *Site) Close() {
	for _, u := range s.Upstreams() {
		u.Close()
	}
}

// Table is the sites of one configuration. The longest prefix is first, and of
// equal ones those bound to host names.
type Table []*Site

// Sort brings the sites into the order in which they are looked for.
func (t Table) Sort() {
	slices.SortStableFunc(t, func(a, b *Site) int {
		if d := len(b.prefix) - len(a.prefix); d != 0 {
			return d
		}
		return len(b.Hosts) - len(a.Hosts)
	})
}

// Find returns a request's site and the path below its prefix, as escaped as it
// came.
func (t Table) Find(host, escapedPath string) (s *Site, below string, ok bool) {
	for _, s := range t {
		if below, ok := s.Below(host, escapedPath); ok {
			return s, below, true
		}
	}
	return nil, "", false
}

// At names the sites that answer requests for a host.
func (t Table) At(host string) (names []string) {
	for _, s := range t {
		if s.takes(host) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Named returns the site of a name.
func (t Table) Named(name string) (*Site, bool) {
	i := slices.IndexFunc(t, func(s *Site) bool { return s.Name == name })
	if i < 0 {
		return nil, false
	}
	return t[i], true
}
