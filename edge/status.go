package main

import (
	"slices"
	"time"

	"pkgedge/cache"
	"pkgedge/edge/config"
	"pkgedge/origin"
	"pkgedge/origin/feed"
)

// statusDoc is the document of GET /status, which "edge status" prints.
type statusDoc struct {
	Ready   bool         `json:"ready"`
	Why     string       `json:"why,omitempty"` // it is not
	Version string       `json:"version"`
	At      time.Time    `json:"at"`
	Started time.Time    `json:"started"`
	Config  configStatus `json:"config"`
	Sites   []siteStatus `json:"sites"`
	Cache   storeStatus  `json:"cache"`
}

// configStatus tells of the configuration that serves.
type configStatus struct {
	File string    `json:"file"` // or "built in"
	Read time.Time `json:"read"`
	// Ending is how many earlier ones still have requests.
	Ending int `json:"ending"`
	// Refused is when a newer one was refused, and Mistakes why; they are gone
	// with the next that is not.
	Refused  time.Time `json:"refused,omitzero"`
	Mistakes []string  `json:"mistakes,omitempty"`
}

type siteStatus struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Writes bool   `json:"writes,omitempty"` // its masters take writes
	Public string `json:"public"`
	poolsStatus
	Scopes  []scopeStatus `json:"scopes,omitempty"`
	Changes *feed.Status  `json:"changes,omitempty"` // its change feed; nil without one
	// Answers counts answers to clients since the start, by outcome.
	Answers map[string]int64 `json:"answers"`
}

// scopeStatus is a private scope and the masters it has of its own.
type scopeStatus struct {
	Name string `json:"name"`
	poolsStatus
}

// poolsStatus is those who can be asked.
type poolsStatus struct {
	Outage  bool                  `json:"outage"` // of one of the pools
	Since   time.Time             `json:"outage_since,omitzero"`
	Masters []origin.MasterStatus `json:"masters"`
	Files   []origin.MasterStatus `json:"files,omitempty"` // masters for files alone
}

// storeStatus is cache.Usage with its limits, under names for people.
type storeStatus struct {
	MemoryBytes   int64 `json:"memory_bytes"`
	MemoryLimit   int64 `json:"memory_limit"`
	MemoryObjects int64 `json:"memory_objects"`
	DiskBytes     int64 `json:"disk_bytes"`
	DiskLimit     int64 `json:"disk_limit"`
	DiskObjects   int64 `json:"disk_objects"`
	Flights       int64 `json:"flights"`
	Evictions     int64 `json:"evictions"`
	Spoiled       int64 `json:"spoiled"`
	Quarantined   int64 `json:"quarantined"`
	Scrubbed      int64 `json:"scrubbed"`
	DiskPaused    bool  `json:"disk_paused"`
	ScanPercent   int64 `json:"scan_percent"`
}

// status is what GET /status shows.
func (e *edge) status() any {
	c := e.handler.running.Load()
	s := statusDoc{
		Ready: true, Version: e.version, At: time.Now().UTC().Truncate(time.Second), Started: e.started.UTC().Truncate(time.Second),
		Config: e.history.status(), Cache: usage(e.cache.Usage(), &e.cfg.Cache),
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
		st := siteStatus{Name: conf.Name, Kind: conf.Kind.Name, Writes: conf.Kind.Writes, Public: c.cfg.Public(conf).String(), Answers: answers[conf.Name]}
		if site, ok := c.site(conf.Name); ok {
			st.Changes = site.feed.report()
			for _, p := range site.pools() {
				if p.scope == "" {
					st.add(p.PoolStatus)
					continue
				}
				n := slices.IndexFunc(st.Scopes, func(sc scopeStatus) bool { return sc.Name == p.scope })
				if n < 0 {
					n = len(st.Scopes)
					st.Scopes = append(st.Scopes, scopeStatus{Name: p.scope})
				}
				st.Scopes[n].add(p.PoolStatus)
			}
		}
		s.Sites = append(s.Sites, st)
	}
	return s
}

func (s *poolsStatus) add(p origin.PoolStatus) {
	if !p.Outage.IsZero() && (!s.Outage || p.Outage.Before(s.Since)) {
		s.Outage, s.Since = true, p.Outage
	}
	if p.Name == poolOfAll {
		s.Masters = p.Masters
	} else {
		s.Files = p.Masters
	}
}

func usage(u cache.Usage, c *config.CacheConfig) storeStatus {
	return storeStatus{
		MemoryBytes: u.MemoryBytes, MemoryLimit: c.Memory, MemoryObjects: u.MemoryObjects,
		DiskBytes: u.DiskBytes, DiskLimit: c.Disk, DiskObjects: u.DiskObjects,
		Flights: u.Flights, Evictions: u.Evictions, Spoiled: u.Spoiled, Quarantined: u.Quarantined, Scrubbed: u.Scrubbed,
		DiskPaused: u.DiskPaused, ScanPercent: u.ScanPercent,
	}
}
