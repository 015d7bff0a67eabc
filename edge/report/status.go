package report

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"pkgedge/cache"
	"pkgedge/origin"
	"pkgedge/origin/feed"
	"pkgedge/tls"
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

	Certificates []tls.Status `json:"certificates,omitempty"` // of the encrypted listener
	Fleet        *Fleet       `json:"fleet,omitempty"`        // nil for an edge alone
}

// Config describes the configuration that serves.
type Config struct {
	File string    `json:"file"` // or "built in"
	Read time.Time `json:"read"`
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

// Cache is the usage of a cache, and the limits of its tiers.
type Cache struct {
	cache.Usage
	MemoryLimit int64 `json:"memory_limit"`
	DiskLimit   int64 `json:"disk_limit"`
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
