package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"pkgedge/cache"
	"pkgedge/edge/admin"
	"pkgedge/origin/kind"
)

// What the admin listener asks of the edge.

// measure registers the gauges that are read when they are asked for.
func (e *edge) measure() {
	for _, g := range []struct {
		name, help string
		value      func(cache.Usage) int64
	}{
		{"edge_memory_bytes", "Bytes in the memory tier, overhead included.", func(u cache.Usage) int64 { return u.MemoryBytes }},
		{"edge_memory_objects", "Stored responses in the memory tier.", func(u cache.Usage) int64 { return u.MemoryObjects }},
		{"edge_disk_bytes", "Bytes in the disk tier.", func(u cache.Usage) int64 { return u.DiskBytes }},
		{"edge_disk_objects", "Stored responses in the disk tier.", func(u cache.Usage) int64 { return u.DiskObjects }},
		{"edge_flights", "Fetches under way.", func(u cache.Usage) int64 { return u.Flights }},
		{"edge_evictions", "Stored responses evicted since the start.", func(u cache.Usage) int64 { return u.Evictions }},
		{"edge_spoiled", "Cache files that failed a check since the start.", func(u cache.Usage) int64 { return u.Spoiled }},
	} {
		e.metrics.Gauge(g.name, g.help, func() float64 { return float64(g.value(e.cache.Usage())) })
	}
}

// status is what GET /status shows.
func (e *edge) status() any {
	type masterStatus struct {
		URL  string `json:"url"`
		Role Role   `json:"role"`
	}
	type siteStatus struct {
		Name    string         `json:"name"`
		Kind    string         `json:"kind"`
		Public  string         `json:"public"`
		Masters []masterStatus `json:"masters"`
	}
	s := struct {
		Ready bool         `json:"ready"`
		Why   string       `json:"why,omitempty"`
		Sites []siteStatus `json:"sites"`
		Cache cache.Usage  `json:"cache"`
	}{Ready: true, Cache: e.cache.Usage()}
	if err := e.ready(); err != nil {
		s.Ready, s.Why = false, err.Error()
	}
	for i := range e.cfg.Sites {
		site := &e.cfg.Sites[i]
		st := siteStatus{Name: site.Name, Kind: site.Kind, Public: e.cfg.Public(site).String()}
		for _, m := range site.Masters {
			st.Masters = append(st.Masters, masterStatus{m.URL.Redacted(), m.Role})
		}
		s.Sites = append(s.Sites, st)
	}
	return s
}

// purger translates what an operator names into the cache's terms.
type purger struct{ *handler }

// Purge puts a purge in force before it returns.
func (p purger) Purge(_ context.Context, what admin.Purge) error {
	c := p.running.Load()
	if what.All {
		return c.cache.Purge(cache.Purge{Scope: cache.ScopeAll, Soft: what.Soft})
	}
	if what.URL != "" {
		return c.purgeURL(what)
	}
	found := false
	for _, s := range c.sites {
		if what.Site != "" && s.name != what.Site {
			continue
		}
		found = true
		scope := cache.ScopeSite
		if what.Package != "" {
			scope = cache.ScopeGroup
		}
		if err := c.cache.Purge(cache.Purge{Scope: scope, Site: s.name, Name: what.Package, Soft: what.Soft}); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%w: %q", admin.ErrUnknownSite, what.Site)
	}
	return nil
}

// purgeURL purges what the edge has stored for a URL, in all its variants.
func (c *running) purgeURL(what admin.Purge) error {
	u, err := url.Parse(what.URL)
	if err != nil {
		return fmt.Errorf("%w: %w", admin.ErrUnknownName, err)
	}
	for _, s := range c.sites {
		path, ok := s.below(u.Host, u.EscapedPath())
		if u.Host == "" && len(s.hosts) > 0 {
			path, ok = s.below(s.hosts[0], u.EscapedPath())
		}
		if !ok || what.Site != "" && s.name != what.Site {
			continue
		}
		r := s.origin.Route(kind.Request{Method: http.MethodGet, Path: path, Query: u.RawQuery, Header: http.Header{}})
		if !r.Class.Cacheable() {
			return fmt.Errorf("%w: %s is never stored", admin.ErrUnknownName, what.URL)
		}
		return c.cache.Purge(cache.Purge{Scope: cache.ScopeKey, Site: s.name, Name: r.Key, Soft: what.Soft})
	}
	return fmt.Errorf("%w: no site serves %s", admin.ErrUnknownName, what.URL)
}
