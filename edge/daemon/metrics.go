package daemon

import (
	"time"

	"pkgedge/cache"
	"pkgedge/edge/admin"
	"pkgedge/origin"
	"pkgedge/origin/feed"
	"pkgedge/tls"
)

// registerMetrics registers the figures that are read when they are scraped.
func (d *Daemon) registerMetrics() {
	for _, g := range []struct {
		name, help string
		value      func(*cache.Usage) float64
	}{
		{"edge_memory_bytes", "Bytes in the memory tier, overhead included.", func(u *cache.Usage) float64 { return float64(u.MemoryBytes) }},
		{"edge_memory_objects", "Stored responses in the memory tier.", func(u *cache.Usage) float64 { return float64(u.MemoryObjects) }},
		{"edge_disk_bytes", "Bytes in the disk tier.", func(u *cache.Usage) float64 { return float64(u.DiskBytes) }},
		{"edge_disk_objects", "Stored responses in the disk tier.", func(u *cache.Usage) float64 { return float64(u.DiskObjects) }},
		{"edge_flights", "Fetches under way.", func(u *cache.Usage) float64 { return float64(u.Flights) }},
		{"edge_evictions", "The same as edge_evictions_total, under its name before 0.2.", func(u *cache.Usage) float64 { return float64(u.Evictions) }},
		{"edge_spoiled", "The same as edge_spoiled_total, under its name before 0.2.", func(u *cache.Usage) float64 { return float64(u.Corrupt) }},
		{"edge_quarantined", "Cache files that failed a check and are kept aside now.", func(u *cache.Usage) float64 { return float64(u.Quarantined) }},
		{"edge_scrubbed", "The same as edge_scrubbed_total, under its name before 0.2.", func(u *cache.Usage) float64 { return float64(u.Scrubbed) }},
		{"edge_disk_scan_percent", "How much of the disk tier the scan has counted; 100 when it is done.", func(u *cache.Usage) float64 { return float64(u.ScanPercent) }},
		{"edge_disk_paused", "1 while nothing is written to the disk tier, which is full or failing.", func(u *cache.Usage) float64 { return truth(u.DiskPaused) }},
	} {
		d.metrics.Gauge(g.name, g.help, func() float64 {
			u := d.cache.Usage()
			return g.value(&u)
		})
	}
	for _, c := range []struct {
		name, help string
		value      func(*cache.Usage) int64
	}{
		{"edge_evictions_total", "Stored responses evicted.", func(u *cache.Usage) int64 { return u.Evictions }},
		{"edge_spoiled_total", "Cache files that failed a check.", func(u *cache.Usage) int64 { return u.Corrupt }},
		{"edge_scrubbed_total", "Cache files that the scrubber has read.", func(u *cache.Usage) int64 { return u.Scrubbed }},
	} {
		d.metrics.Counters(c.name, c.help, nil, func(emit admin.Emit) {
			u := d.cache.Usage()
			emit(float64(c.value(&u)))
		})
	}
	d.registerCeilings()
	d.metrics.Counters("edge_access_log_dropped_total", "Lines of the access log for which there was no room: its reader is too slow.", nil, func(emit admin.Emit) {
		emit(float64(d.out.Dropped()))
	})
	d.metrics.Gauge("edge_memory_limit_bytes", "Bytes that cache.memory allows the whole process.", func() float64 { return float64(d.cfg.Cache.Memory) })
	d.metrics.Gauge("edge_disk_limit_bytes", "Bytes that cache.disk allows the disk tier.", func() float64 { return float64(d.cfg.Cache.Disk) })
	d.metrics.Gauge("edge_reload_refused", "1 when the last reload was refused: what runs is not what the file says.", func() float64 {
		return truth(!d.reloads.status().Refused.IsZero())
	})
	d.metrics.Gauge("edge_config_read_timestamp_seconds", "When the configuration that serves was read, in Unix time.", func() float64 {
		return float64(d.reloads.status().Read.Unix())
	})
	d.registerMasters()
	d.registerFeeds()
	d.registerCertificates()
	d.pop.register(d.metrics)
	d.registerFleet()
}

// registerMasters registers the figures of the masters. The label pool tells the
// masters of a site from those for files alone.
func (d *Daemon) registerMasters() {
	pools := func(each func(site string, p *origin.PoolStatus)) {
		g := d.serving()
		if g == nil {
			return
		}
		for _, s := range g.Sites {
			for _, p := range poolsOf(s) {
				p.Name = p.name()
				each(s.Name, &p.PoolStatus)
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
	d.metrics.Gauges("edge_outage", "1 while every master is out, and nothing is asked of them.", pool,
		perPool(func(p *origin.PoolStatus) float64 { return truth(!p.Outage.IsZero()) }))
	d.metrics.Counters("edge_outages_total", "Times that every master was out.", pool,
		perPool(func(p *origin.PoolStatus) float64 { return float64(p.Outages) }))
	d.metrics.Counters("edge_hedges_total", "Reads for which another master was asked before the first had failed.", pool,
		perPool(func(p *origin.PoolStatus) float64 { return float64(p.Hedged) }))
	d.metrics.Counters("edge_retries_total", "Reads for which another master was asked after one had failed.", pool,
		perPool(func(p *origin.PoolStatus) float64 { return float64(p.Retried) }))
	d.metrics.Gauges("edge_master_up", "1 where requests may go, 0 for a master that is out or drained.", master,
		one(func(m *origin.MasterStatus) float64 { return truth(m.Up()) }))
	d.metrics.Gauges("edge_master_state", "1 for the state that a master is in.", append(master, "state"),
		perMaster(func(m *origin.MasterStatus, emit func(float64, ...string)) { emit(1, m.State) }))
	d.metrics.Gauges("edge_master_in_flight", "Requests at a master.", master,
		one(func(m *origin.MasterStatus) float64 { return float64(m.InFlight) }))
	d.metrics.Counters("edge_master_bytes_total", "Bytes of bodies that a master sent.", master,
		one(func(m *origin.MasterStatus) float64 { return float64(m.Bytes) }))
	d.metrics.Gauges("edge_master_latency_seconds", "Time to the first byte of late, an average.", master,
		one(func(m *origin.MasterStatus) float64 { return m.LatencyMS / 1000 }))
	d.metrics.Gauges("edge_probe_age_seconds", "Time since a master's probe loop was seen: more than two intervals is a loop that stalls.", master,
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

// registerFeeds registers the figures of the change feeds.
func (d *Daemon) registerFeeds() {
	each := func(value func(*feed.Status) float64) func(admin.Emit) {
		return func(emit admin.Emit) {
			g := d.serving()
			if g == nil {
				return
			}
			for _, s := range g.Sites {
				if st := g.feeds[s].State(); st != nil {
					emit(value(st), s.Name)
				}
			}
		}
	}
	site := []string{"site"}
	d.metrics.Gauges("edge_feed_live", "1 while the change feed is caught up and heard from, 0 while lifetimes hold.", site,
		each(func(s *feed.Status) float64 { return truth(s.Live) }))
	d.metrics.Gauges("edge_feed_age_seconds", "Time since the change feed was heard from.", site,
		each(func(s *feed.Status) float64 { return s.Age(time.Now()).Seconds() }))
	d.metrics.Counters("edge_feed_changes_total", "Changes that the feed told and that are in force.", site,
		each(func(s *feed.Status) float64 { return float64(s.Changes) }))
	d.metrics.Counters("edge_feed_skipped_total", "Rows of the change feed that could not be read, and put in doubt what they may be about.", site,
		each(func(s *feed.Status) float64 { return float64(s.Skipped) }))
	d.metrics.Counters("edge_feed_resets_total", "Times that all metadata was put in doubt.", site,
		each(func(s *feed.Status) float64 { return float64(s.Resets) }))
}

// registerCertificates registers the figures of the certificates. One that is still to be
// obtained has 0 for its end.
func (d *Daemon) registerCertificates() {
	each := func(value func(*tls.Status) float64) func(admin.Emit) {
		return func(emit admin.Emit) {
			if d.certs == nil {
				return
			}
			for _, s := range d.certs.Status() {
				emit(value(&s), s.Name)
			}
		}
	}
	name := []string{"name"}
	d.metrics.Gauges("edge_certificate_expiry_timestamp_seconds", "When a certificate expires, in Unix time; 0 where there is none yet.", name,
		each(func(s *tls.Status) float64 {
			if s.NotAfter.IsZero() {
				return 0
			}
			return float64(s.NotAfter.Unix())
		}))
	d.metrics.Counters("edge_certificate_failures_total", "Attempts to obtain or renew a certificate that failed.", name,
		each(func(s *tls.Status) float64 { return float64(s.Failures) }))
}
