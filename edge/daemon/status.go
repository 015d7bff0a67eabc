package daemon

import (
	"slices"
	"time"

	"pkgedge/edge/report"
)

// status is the answer to GET /status.
func (d *Daemon) status() any { return d.report() }

// report is the status of the edge.
func (d *Daemon) report() *report.Status {
	g := d.serving()
	s := &report.Status{
		Ready: true, Version: d.version, At: time.Now().UTC().Truncate(time.Second), Started: d.started.UTC().Truncate(time.Second),
		Config: d.reloads.status(), Cache: report.Cache{Usage: d.cache.Usage(), MemoryLimit: d.cfg.Cache.Memory, DiskLimit: d.cfg.Cache.Disk},
	}
	if err := d.ready(); err != nil {
		s.Ready, s.Why = false, err.Error()
	}
	s.Fleet = d.fleetStatus(d.pop.Status(&d.cfg.Fleet))
	s.Certificates = d.certificates()
	answers := make(map[string]map[string]int64)
	d.metrics.Served(func(site, outcome string, n int64) {
		if answers[site] == nil {
			answers[site] = make(map[string]int64)
		}
		answers[site][outcome] += n
	})
	for i := range g.cfg.Sites {
		conf := &g.cfg.Sites[i]
		st := report.Site{Name: conf.Name, Kind: conf.Kind.Name, Writes: conf.Kind.Writes, Public: g.cfg.Public(conf).String(), Answers: answers[conf.Name]}
		if site, ok := g.Sites.Named(conf.Name); ok {
			st.Changes = g.feeds[site].State()
			for _, p := range poolsOf(site) {
				if p.Scope == "" {
					st.Add(p.PoolStatus)
					continue
				}
				n := slices.IndexFunc(st.Scopes, func(sc report.Scope) bool { return sc.Name == p.Scope })
				if n < 0 {
					n = len(st.Scopes)
					st.Scopes = append(st.Scopes, report.Scope{Name: p.Scope})
				}
				st.Scopes[n].Add(p.PoolStatus)
			}
		}
		s.Sites = append(s.Sites, st)
	}
	return s
}
