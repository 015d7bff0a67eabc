package report

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"pkgedge/cache"
	"pkgedge/origin"
	"pkgedge/origin/feed"
)

// Status is the document of GET /status. "edge status" prints it.
type Status struct {
	Ready   bool      `json:"ready"`
	Why     string    `json:"why,omitempty"` // Why says why it is not ready
	Version string    `json:"version"`
	At      time.Time `json:"at"`
	Started time.Time `json:"started"`
	Config  Config    `json:"config"`
	Sites   []Site    `json:"sites"`
	Cache   Cache     `json:"cache"`
}

// Config describes the configuration that serves.
type Config struct {
	File string    `json:"file"` // or "built in"
	Read time.Time `json:"read"`
	// Ending counts earlier configurations that still have requests.
	Ending int `json:"ending"`
	// Refused is the time at which a newer configuration was refused, and Mistakes
	// are the reasons. A reload that succeeds clears both.
	Refused  time.Time `json:"refused,omitzero"`
	Mistakes []string  `json:"mistakes,omitempty"`
}

// Site is a configured site, its masters and its counts.
type Site struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Writes bool   `json:"writes,omitempty"` // its masters take writes
	Public string `json:"public"`
	Pools
	Scopes  []Scope      `json:"scopes,omitempty"`
	Changes *feed.Status `json:"changes,omitempty"` // its change feed; nil without one
	// Answers counts answers to clients since the start, by outcome.
	Answers map[string]int64 `json:"answers"`
}

// Scope is a private scope and the masters it has of its own.
type Scope struct {
	Name string `json:"name"`
	Pools
}

// Pools are the masters of a site or of a scope.
type Pools struct {
	Outage  bool                  `json:"outage"` // one of the pools has no master left
	Since   time.Time             `json:"outage_since,omitzero"`
	Masters []origin.MasterStatus `json:"masters"`
	Files   []origin.MasterStatus `json:"files,omitempty"` // masters for files alone
}

// Cache is a cache.Usage and the limits of its tiers.
type Cache struct {
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

// Parse reads the document. Members that a newer edge adds are ignored.
func Parse(text []byte) (*Status, error) {
	var is struct {
		Ready *bool `json:"ready"`
	}
	if err := json.Unmarshal(text, &is); err != nil {
		return nil, err
	}
	if is.Ready == nil {
		return nil, errors.New(`it does not say "ready"`)
	}
	doc := new(Status)
	if err := json.Unmarshal(text, doc); err != nil {
		return nil, err
	}
	return doc, nil
}

// MainPool is the name of the pool that every site has.
const MainPool = "masters"

// Add adds a pool: the main one, or that of the masters for files.
func (s *Pools) Add(p origin.PoolStatus) {
	if !p.Outage.IsZero() && (!s.Outage || p.Outage.Before(s.Since)) {
		s.Outage, s.Since = true, p.Outage
	}
	if p.Name == MainPool {
		s.Masters = p.Masters
	} else {
		s.Files = p.Masters
	}
}

// CacheStatus describes a cache whose tiers have those limits.
func CacheStatus(u cache.Usage, memory, disk int64) Cache {
	return Cache{
		MemoryBytes: u.MemoryBytes, MemoryLimit: memory, MemoryObjects: u.MemoryObjects,
		DiskBytes: u.DiskBytes, DiskLimit: disk, DiskObjects: u.DiskObjects,
		Flights: u.Flights, Evictions: u.Evictions, Spoiled: u.Spoiled, Quarantined: u.Quarantined, Scrubbed: u.Scrubbed,
		DiskPaused: u.DiskPaused, ScanPercent: u.ScanPercent,
	}
}
