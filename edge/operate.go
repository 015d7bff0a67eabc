package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"pkgedge/cache"
	"pkgedge/edge/admin"
	"pkgedge/origin"
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
	e.measureMasters()
}

// status is what GET /status shows.
func (e *edge) status() any {
	type siteStatus struct {
		Name    string                `json:"name"`
		Kind    string                `json:"kind"`
		Public  string                `json:"public"`
		Outage  bool                  `json:"outage"`
		Since   time.Time             `json:"outage_since,omitzero"`
		Masters []origin.MasterStatus `json:"masters"`
		Files   []origin.MasterStatus `json:"files,omitempty"` // masters for files alone
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
		if running, ok := e.handler.named(site.Name); ok {
			for _, p := range running.origin.Status() {
				if !p.Outage.IsZero() && (!st.Outage || p.Outage.Before(st.Since)) {
					st.Outage, st.Since = true, p.Outage
				}
				if len(st.Masters) == 0 {
					st.Masters = p.Masters
				} else {
					st.Files = p.Masters
				}
			}
		}
		s.Sites = append(s.Sites, st)
	}
	return s
}

// named finds a site that is served.
func (h *handler) named(name string) (*site, bool) {
	c := h.running.Load()
	if c == nil {
		return nil, false
	}
	i := slices.IndexFunc(c.sites, func(s *site) bool { return s.name == name })
	if i < 0 {
		return nil, false
	}
	return c.sites[i], true
}

// drainer takes masters out of rotation for an operator.
type drainer struct{ *handler }

func (d drainer) Drain(_ context.Context, site, master string, drained bool) error {
	s, ok := d.named(site)
	if !ok {
		return fmt.Errorf("%w: %q", admin.ErrUnknownSite, site)
	}
	if err := s.origin.Drain(master, drained); err != nil {
		return fmt.Errorf("%w: %q", admin.ErrUnknownMaster, master)
	}
	return nil
}

// measureMasters registers what is known of the masters, read when it is asked
// for. The label pool tells the masters of a site from those for files alone.
func (e *edge) measureMasters() {
	pools := func(each func(site string, p *origin.PoolStatus)) {
		c := e.handler.running.Load()
		if c == nil {
			return
		}
		for _, s := range c.sites {
			for _, p := range s.origin.Status() {
				each(s.name, &p)
			}
		}
	}
	perPool := func(value func(*origin.PoolStatus) float64) func(admin.Emit) {
		return func(emit admin.Emit) {
			pools(func(site string, p *origin.PoolStatus) { emit(value(p), site, p.Name) })
		}
	}
	perMaster := func(value func(m *origin.MasterStatus, emit func(v float64, more ...string))) func(admin.Emit) {
		return func(emit admin.Emit) {
			pools(func(site string, p *origin.PoolStatus) {
				for i := range p.Masters {
					m := &p.Masters[i]
					value(m, func(v float64, more ...string) { emit(v, append([]string{site, p.Name, m.URL}, more...)...) })
				}
			})
		}
	}
	one := func(value func(*origin.MasterStatus) float64) func(admin.Emit) {
		return perMaster(func(m *origin.MasterStatus, emit func(float64, ...string)) { emit(value(m)) })
	}
	pool, master := []string{"site", "pool"}, []string{"site", "pool", "master"}
	e.metrics.Gauges("edge_outage", "1 while every master is out, and nothing is asked of them.", pool,
		perPool(func(p *origin.PoolStatus) float64 { return truth(!p.Outage.IsZero()) }))
	e.metrics.Counters("edge_outages_total", "Times that every master was out.", pool,
		perPool(func(p *origin.PoolStatus) float64 { return float64(p.Outages) }))
	e.metrics.Counters("edge_hedges_total", "Reads for which another master was asked before the first had failed.", pool,
		perPool(func(p *origin.PoolStatus) float64 { return float64(p.Hedged) }))
	e.metrics.Counters("edge_retries_total", "Reads for which another master was asked after one had failed.", pool,
		perPool(func(p *origin.PoolStatus) float64 { return float64(p.Retried) }))
	e.metrics.Gauges("edge_master_up", "1 where requests may go, 0 for a master that is out or drained.", master,
		one(func(m *origin.MasterStatus) float64 { return truth(m.Up()) }))
	e.metrics.Gauges("edge_master_state", "1 for the state that a master is in.", append(master, "state"),
		perMaster(func(m *origin.MasterStatus, emit func(float64, ...string)) { emit(1, m.State) }))
	e.metrics.Gauges("edge_master_in_flight", "Requests at a master.", master,
		one(func(m *origin.MasterStatus) float64 { return float64(m.InFlight) }))
	e.metrics.Gauges("edge_master_latency_seconds", "Time to the first byte of late, an average.", master,
		one(func(m *origin.MasterStatus) float64 { return m.LatencyMS / 1000 }))
	e.metrics.Gauges("edge_probe_age_seconds", "Time since a master's probe loop was seen: more than two intervals is a loop that stalls.", master,
		perMaster(func(m *origin.MasterStatus, emit func(float64, ...string)) {
			if m.Probe != nil {
				emit(m.Probe.Age)
			}
		}))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
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
