package main

import (
	"slices"
	"time"

	"pkgedge/edge/report"
)

// status is what GET /status shows.
func (e *edge) status() any {
	c := e.handler.running.Load()
	s := report.Status{
		Ready: true, Version: e.version, At: time.Now().UTC().Truncate(time.Second), Started: e.started.UTC().Truncate(time.Second),
		Config: e.history.status(), Cache: report.CacheStatus(e.cache.Usage(), e.cfg.Cache.Memory, e.cfg.Cache.Disk),
	}
	if err := e.ready(); err != nil {
		s.Ready, s.Why = false, err.Error()
	}
	answers := make(map[string]map[string]int64)
	e.metrics.Served(func(site, outcome string, n int64) {
		if answers[site] == nil {
			answers[site] = make(map[string]int64)
		}
		answers[site][outcome] = n
	})
	s.Config.Ending = len(e.generations()) - 1
	for i := range c.cfg.Sites {
		conf := &c.cfg.Sites[i]
		st := report.Site{Name: conf.Name, Kind: conf.Kind.Name, Writes: conf.Kind.Writes, Public: c.cfg.Public(conf).String(), Answers: answers[conf.Name]}
		if site, ok := c.site(conf.Name); ok {
			st.Changes = site.feed.report()
			for _, p := range site.pools() {
				if p.scope == "" {
					st.Add(p.PoolStatus)
					continue
				}
				n := slices.IndexFunc(st.Scopes, func(sc report.Scope) bool { return sc.Name == p.scope })
				if n < 0 {
					n = len(st.Scopes)
					st.Scopes = append(st.Scopes, report.Scope{Name: p.scope})
				}
				st.Scopes[n].Add(p.PoolStatus)
			}
		}
		s.Sites = append(s.Sites, st)
	}
	return s
}
