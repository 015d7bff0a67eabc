package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"pkgedge/cache"
	"pkgedge/cache/purge"
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
		{"edge_quarantined", "Cache files that failed a check and are kept aside now.", func(u cache.Usage) int64 { return u.Quarantined }},
		{"edge_scrubbed", "Cache files that the scrubber has read since the start.", func(u cache.Usage) int64 { return u.Scrubbed }},
		{"edge_disk_scan_percent", "How much of the disk tier the scan has counted; 100 when it is done.", func(u cache.Usage) int64 { return u.ScanPercent }},
	} {
		e.metrics.Gauge(g.name, g.help, func() float64 { return float64(g.value(e.cache.Usage())) })
	}
	e.metrics.Gauge("edge_disk_paused", "1 while nothing is written to the disk tier, which is full or failing.", func() float64 {
		return truth(e.cache.Usage().DiskPaused)
	})
	e.metrics.Gauge("edge_reload_refused", "1 when the last reload was refused: what runs is not what the file says.", func() float64 {
		return truth(!e.history.status().Refused.IsZero())
	})
	e.metrics.Gauge("edge_config_read_timestamp_seconds", "When the configuration that serves was read, in Unix time.", func() float64 {
		return float64(e.history.status().Read.Unix())
	})
	e.measureMasters()
	e.measureFeeds()
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
			for _, p := range s.pools() {
				p.Name = p.name()
				each(s.name, &p.PoolStatus)
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
		return c.cache.Purge(purge.Purge{Scope: purge.All, Soft: what.Soft})
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
		scope := purge.Site
		if what.Package != "" {
			scope = purge.Group
		}
		if err := c.cache.Purge(purge.Purge{Scope: scope, Site: s.name, Name: what.Package, Soft: what.Soft}); err != nil {
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
		r := s.own.Route(kind.Request{Method: http.MethodGet, Path: path, Query: u.RawQuery, Header: http.Header{}})
		if !r.Class.Cacheable() {
			return fmt.Errorf("%w: %s is never stored", admin.ErrUnknownName, what.URL)
		}
		from, _ := s.upstream(r) // what may be stored names one scope at most
		return c.cache.Purge(purge.Purge{Scope: purge.Key, Site: s.name, Name: s.key(from, r).ID, Soft: what.Soft})
	}
	return fmt.Errorf("%w: no site serves %s", admin.ErrUnknownName, what.URL)
}
