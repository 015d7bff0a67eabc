package gauges

import (
	"time"

	"pkgedge/cache"
	"pkgedge/edge/admin"
	"pkgedge/edge/limit"
	"pkgedge/edge/server"
	"pkgedge/origin"
	"pkgedge/origin/feed"
	"pkgedge/tls"
)

// Usage registers the figures of the cache.
func Usage(m *admin.Metrics, usage func() cache.Usage) {
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
		m.Gauge(g.name, g.help, func() float64 {
			u := usage()
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
		m.Counters(c.name, c.help, nil, func(emit admin.Emit) {
			u := usage()
			emit(float64(c.value(&u)))
		})
	}
}

// Pools registers the figures of the masters. The label pool tells the masters of a site from
// those for files alone. each calls its argument with each pool of each site.
func Pools(m *admin.Metrics, each func(func(site string, p *origin.PoolStatus))) {
	perPool := func(value func(*origin.PoolStatus) float64) func(admin.Emit) {
		return func(emit admin.Emit) {
			each(func(site string, p *origin.PoolStatus) { emit(value(p), site, p.Name) })
		}
	}
	perMaster := func(value func(of *origin.MasterStatus, emit func(v float64, more ...string))) func(admin.Emit) {
		return func(emit admin.Emit) {
			each(func(site string, p *origin.PoolStatus) {
				for i := range p.Masters {
					of := &p.Masters[i]
					value(of, func(v float64, more ...string) { emit(v, append([]string{site, p.Name, of.URL}, more...)...) })
				}
			})
		}
	}
	one := func(value func(*origin.MasterStatus) float64) func(admin.Emit) {
		return perMaster(func(of *origin.MasterStatus, emit func(float64, ...string)) { emit(value(of)) })
	}
	pool, master := []string{"site", "pool"}, []string{"site", "pool", "master"}
	m.Gauges("edge_outage", "1 while every master is out, and nothing is asked of them.", pool,
		perPool(func(p *origin.PoolStatus) float64 { return truth(!p.Outage.IsZero()) }))
	m.Counters("edge_outages_total", "Times that every master was out.", pool,
		perPool(func(p *origin.PoolStatus) float64 { return float64(p.Outages) }))
	m.Counters("edge_hedges_total", "Reads for which another master was asked before the first had failed.", pool,
		perPool(func(p *origin.PoolStatus) float64 { return float64(p.Hedged) }))
	m.Counters("edge_retries_total", "Reads for which another master was asked after one had failed.", pool,
		perPool(func(p *origin.PoolStatus) float64 { return float64(p.Retried) }))
	m.Gauges("edge_master_up", "1 where requests may go, 0 for a master that is out or drained.", master,
		one(func(m *origin.MasterStatus) float64 { return truth(m.Up()) }))
	m.Gauges("edge_master_state", "1 for the state that a master is in.", append(master, "state"),
		perMaster(func(m *origin.MasterStatus, emit func(float64, ...string)) { emit(1, m.State) }))
	m.Gauges("edge_master_in_flight", "Requests at a master.", master,
		one(func(m *origin.MasterStatus) float64 { return float64(m.InFlight) }))
	m.Counters("edge_master_bytes_total", "Bytes of bodies that a master sent.", master,
		one(func(m *origin.MasterStatus) float64 { return float64(m.Bytes) }))
	m.Gauges("edge_master_latency_seconds", "Time to the first byte of late, an average.", master,
		one(func(m *origin.MasterStatus) float64 { return m.LatencyMS / 1000 }))
	m.Histograms("edge_master_first_byte_seconds", "Time until a master's response to a read began. Reads without a response are not in it.", master,
		func(emit func(map[float64]uint64, uint64, float64, ...string)) {
			each(func(site string, p *origin.PoolStatus) {
				for i := range p.Masters {
					of := &p.Masters[i]
					emit(of.FirstBytes.Counts, of.FirstBytes.Count, of.FirstBytes.Sum, site, p.Name, of.URL)
				}
			})
		})
	m.Gauges("edge_probe_age_seconds", "Time since a master's probe loop was seen: more than two intervals is a loop that stalls.", master,
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

// Feeds registers the figures of the change feeds. all calls its argument with the feed of each
// site that has one.
func Feeds(m *admin.Metrics, all func(func(site string, s *feed.Status))) {
	each := func(value func(*feed.Status) float64) func(admin.Emit) {
		return func(emit admin.Emit) {
			all(func(site string, s *feed.Status) { emit(value(s), site) })
		}
	}
	site := []string{"site"}
	m.Gauges("edge_feed_live", "1 while the change feed is caught up and heard from, 0 while lifetimes hold.", site,
		each(func(s *feed.Status) float64 { return truth(s.Live) }))
	m.Gauges("edge_feed_age_seconds", "Time since the change feed was heard from.", site,
		each(func(s *feed.Status) float64 { return s.Age(time.Now()).Seconds() }))
	m.Counters("edge_feed_changes_total", "Changes that the feed told and that are in force.", site,
		each(func(s *feed.Status) float64 { return float64(s.Changes) }))
	m.Counters("edge_feed_skipped_total", "Rows of the change feed that could not be read, and put in doubt what they may be about.", site,
		each(func(s *feed.Status) float64 { return float64(s.Skipped) }))
	m.Counters("edge_feed_resets_total", "Times that all metadata was put in doubt.", site,
		each(func(s *feed.Status) float64 { return float64(s.Resets) }))
}

// Certificates registers the figures of the certificates. One that is still to be obtained has 0
// for its end.
func Certificates(m *admin.Metrics, all func() []tls.Status) {
	each := func(value func(*tls.Status) float64) func(admin.Emit) {
		return func(emit admin.Emit) {
			for _, s := range all() {
				emit(value(&s), s.Name)
			}
		}
	}
	name := []string{"name"}
	m.Gauges("edge_certificate_expiry_timestamp_seconds", "When a certificate expires, in Unix time; 0 where there is none yet.", name,
		each(func(s *tls.Status) float64 {
			if s.NotAfter.IsZero() {
				return 0
			}
			return float64(s.NotAfter.Unix())
		}))
	m.Counters("edge_certificate_failures_total", "Attempts to obtain or renew a certificate that failed.", name,
		each(func(s *tls.Status) float64 { return float64(s.Failures) }))
}

// Ceilings registers the figures of things under way.
func Ceilings(m *admin.Metrics, conns func() server.ConnFigures, c *limit.Ceilings) {
	all := []struct {
		name    string
		figures func() (int, limit.Bounds, limit.Refusals)
	}{
		{"connections", func() (int, limit.Bounds, limit.Refusals) { f := conns(); return f.Open, f.Bounds, f.Refused }},
		{"requests", c.Requests.Figures}, {"bodies", c.Bodies.Figures}, {"misses", c.Misses.Figures}, {"heads", c.Heads.Figures},
	}
	m.Gauges("edge_concurrent", "Connections of clients, requests that the fast lane does not answer, those with a body, those that wait for a fetch of something new, and heads that come in parts.",
		[]string{"of"}, func(emit admin.Emit) {
			for _, c := range all {
				n, _, _ := c.figures()
				emit(float64(n), c.name)
			}
		})
	m.Gauges("edge_concurrent_limit", "How many of them there may be, as limits.concurrent and the limit of open files have it; 0 for no bound.",
		[]string{"of", "clients"}, func(emit admin.Emit) {
			for _, c := range all {
				_, b, _ := c.figures()
				emit(float64(b.All), c.name, "all")
				emit(float64(b.Each), c.name, "each")
			}
		})
	m.Counters("edge_concurrent_refused_total", "Connections that were closed, and requests that were refused, since there were too many: of all clients, or of one.",
		[]string{"of", "clients"}, func(emit admin.Emit) {
			for _, c := range all {
				_, _, r := c.figures()
				emit(float64(r.All), c.name, "all")
				emit(float64(r.Each), c.name, "each")
			}
		})
	m.Counters("edge_connections_closed_total", "Connections that were closed for another one: idle ones, and such that had sent a part of a head.",
		[]string{"reason"}, func(emit admin.Emit) {
			f := conns()
			emit(float64(f.IdleClosed), "idle")
			emit(float64(f.PartialClosed), "partial")
		})
}
