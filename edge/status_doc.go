package main

import (
	"errors"
	"time"

	"pkgedge/cache"
	"pkgedge/origin"
	"pkgedge/origin/feed"

	"github.com/go-json-experiment/json"
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

// parseStatus reads the document. A newer edge may say more.
func parseStatus(text []byte) (*statusDoc, error) {
	var is struct {
		Ready *bool `json:"ready"`
	}
	if err := json.Unmarshal(text, &is); err != nil {
		return nil, err
	}
	if is.Ready == nil {
		return nil, errors.New(`it does not say "ready"`)
	}
	doc := new(statusDoc)
	if err := json.Unmarshal(text, doc); err != nil {
		return nil, err
	}
	return doc, nil
}

// mainPool is the name of the pool that a site always has.
const mainPool = "masters"

// add adds a pool: the main one, or that of the masters for files.
func (s *poolsStatus) add(p origin.PoolStatus) {
	if !p.Outage.IsZero() && (!s.Outage || p.Outage.Before(s.Since)) {
		s.Outage, s.Since = true, p.Outage
	}
	if p.Name == mainPool {
		s.Masters = p.Masters
	} else {
		s.Files = p.Masters
	}
}

// usage is the status of a cache of those limits.
func usage(u cache.Usage, memory, disk int64) storeStatus {
	return storeStatus{
		MemoryBytes: u.MemoryBytes, MemoryLimit: memory, MemoryObjects: u.MemoryObjects,
		DiskBytes: u.DiskBytes, DiskLimit: disk, DiskObjects: u.DiskObjects,
		Flights: u.Flights, Evictions: u.Evictions, Spoiled: u.Spoiled, Quarantined: u.Quarantined, Scrubbed: u.Scrubbed,
		DiskPaused: u.DiskPaused, ScanPercent: u.ScanPercent,
	}
}
