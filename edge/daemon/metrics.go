package daemon

import (
	"pkgedge/edge/admin"
	"pkgedge/edge/gauges"
	"pkgedge/origin"
	"pkgedge/origin/feed"
	"pkgedge/tls"
)

// registerMetrics registers the figures that are read when they are scraped.
func (d *Daemon) registerMetrics() {
	gauges.Usage(d.metrics, d.cache.Usage)
	gauges.Ceilings(d.metrics, d.server.Conns.Figures, &d.handler.Ceilings)
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
	gauges.Pools(d.metrics, d.eachPool)
	gauges.Feeds(d.metrics, d.eachFeed)
	gauges.Certificates(d.metrics, d.certificates)
	if d.pop != nil && d.pop.Siblings != nil {
		gauges.Siblings(d.metrics, d.pop.Siblings.Status)
	}
	if d.pop != nil && d.pop.Store != nil {
		gauges.Store(d.metrics, d.pop.Store.Status)
	}
	d.registerFleet()
}

// certificates are those of the encrypted listener.
func (d *Daemon) certificates() []tls.Status {
	if d.certs == nil {
		return nil
	}
	return d.certs.Status()
}

// eachPool calls each with the pools of the sites that serve.
func (d *Daemon) eachPool(each func(site string, p *origin.PoolStatus)) {
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

// eachFeed calls each with the feeds of the sites that serve.
func (d *Daemon) eachFeed(each func(site string, s *feed.Status)) {
	g := d.serving()
	if g == nil {
		return
	}
	for _, s := range g.Sites {
		if st := g.feeds[s].State(); st != nil {
			each(s.Name, st)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
