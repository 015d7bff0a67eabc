package origin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"pkgedge/origin/fetch"
	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/pool"
)

// Config describes a site's origin.
type Config struct {
	Site        string // its name, for the log
	Kind        kind.Descriptor
	PublicBase  string // URL under which clients reach the site, without a final slash
	Masters     []Upstream
	Files       []Upstream // where files come from instead of Masters, when set
	First       int        // number of the first of them in the status
	Credentials string     // Authorization of every fetch and probe, instead of the client's; "" for none
	Probe       Probe
	Timeouts    Timeouts
	MaxMetadata int64      // bytes of a decoded metadata document
	Documents   *Documents // shared by all sites; nil for a bound of its own
	Identity    string     // this edge's name in Via and CDN-Loop

	// Nearer are asked before the masters, for things that all clients may have. Documents are then
	// stored as the masters sent them, too. nil is for none.
	Nearer []Nearer

	// Registry keeps the site's knowledge over a reload; nil to keep none.
	Registry *Registry

	// Owns says whether a path is for these masters: it may have become another
	// site's since it was fetched. nil is for any path.
	Owns func(path string) bool

	MinimumAge time.Duration // see kind.Options
	Exempt     []string      // the same
	Settings   kind.Settings // of the kind's own keys

	// Observe is told how each request to a master ended: "200", "timeout",
	// "refused", …: a small set. It may be nil.
	Observe func(master, result string)

	// Log is told when a master goes out of rotation or comes back, when an outage
	// begins and ends, and of masters that fail requests. It may be nil.
	Log *slog.Logger

	random       func(below int) int // for tests, as in health.Config
	latencyFloor time.Duration       // for tests, as in pool.Config
}

// Site is the origin of one site. It is safe for concurrent use.
type Site struct {
	kind.Kind
	*fetch.Fetcher
	cfg    Config
	pool   *pool.Pool
	files  *pool.Pool // for files; the same one, unless they have masters of their own
	memory *memory
}

// The names of a site's pools.
const (
	poolOfAll   = "masters"
	poolOfFiles = "files"
)

// ErrUnknownMaster: a site has no such master.
var ErrUnknownMaster = errors.New("unknown master")

// New returns a site's origin, which does not probe before Start.
func New(cfg Config) (*Site, error) {
	if cfg.Kind.New == nil {
		return nil, fmt.Errorf("no such kind of site: %q", cfg.Kind.Name)
	}
	k, err := cfg.Kind.New(kind.Options{PublicBase: cfg.PublicBase, MinimumAge: cfg.MinimumAge, Exempt: cfg.Exempt, Settings: cfg.Settings})
	if err != nil {
		return nil, err
	}
	if len(cfg.Masters) == 0 {
		return nil, fmt.Errorf("a site needs a master")
	}
	if cfg.Registry == nil {
		cfg.Registry = new(Registry)
	}
	s := &Site{Kind: k, cfg: cfg, memory: cfg.Registry.sites.Acquire(cfg.Site, newMemory)}
	s.pool = s.newPool(poolOfAll, cfg.Masters, cfg.First)
	s.files = s.pool
	if len(cfg.Files) > 0 {
		s.files = s.newPool(poolOfFiles, cfg.Files, cfg.First+len(cfg.Masters))
	}
	w, ok := k.(kind.Withholder)
	s.Fetcher = fetch.New(fetch.Config{
		Kind: k, Masters: s.pool, Files: s.files, Writes: s.memory.writes, Deferred: s.memory.deferred,
		Documents: cfg.Documents, MaxMetadata: cfg.MaxMetadata, Policed: ok && w.Withholds(), KeepRaw: len(cfg.Nearer) > 0 && !cfg.Kind.Transparent,
	})
	return s, nil
}

func (s *Site) newPool(name string, masters []Upstream, first int) *pool.Pool {
	var others []*url.URL // where their lists are of
	for _, m := range s.cfg.Masters {
		others = append(others, m.URL)
	}
	return pool.New(pool.Config{
		Config: health.Config{
			Site: s.cfg.Site, Pool: name, Masters: masters, First: first, Files: name == poolOfFiles,
			Probe: s.cfg.Probe, Ping: s.cfg.Kind.Ping, ProbePath: s.cfg.Kind.ProbePath, Owns: s.cfg.Owns,
			Identity: s.cfg.Identity, Credential: s.cfg.Credentials, Log: s.cfg.Log, Random: s.cfg.random,
		},
		Others: others, Nearer: s.cfg.Nearer, Registry: &s.cfg.Registry.pools, Timeouts: s.cfg.Timeouts, PublicBase: s.cfg.PublicBase,
		Writes: s.memory.writes, Observe: s.cfg.Observe, LatencyFloor: s.cfg.latencyFloor, Passes: s.passes,
	})
}

// passes says whether a request for a path comes to these masters, and is answered by one
// of them. A document is not: it is prepared here.
func (s *Site) passes(path string) bool {
	path, query, _ := strings.Cut(path, "?")
	switch s.Route(kind.Request{Method: http.MethodGet, Path: path, Query: query, Header: http.Header{}}).Class {
	case kind.PassPrimary, kind.PassAny, kind.File:
		return s.cfg.Owns == nil || s.cfg.Owns(path)
	}
	return false
}

// pools are the site's, that of its files last.
func (s *Site) pools() []*pool.Pool {
	if s.files == s.pool {
		return []*pool.Pool{s.pool}
	}
	return []*pool.Pool{s.pool, s.files}
}

// Start begins to probe the masters, until Close.
func (s *Site) Start() {
	for _, p := range s.pools() {
		p.Start()
	}
}

// Close ends the probes, and releases the site's part of the registry. Fetches under
// way may go on.
func (s *Site) Close() {
	for _, p := range s.pools() {
		p.Close()
	}
	s.cfg.Registry.sites.Release(s.cfg.Site)
}

// Pass sends requests of a class that is never stored to the masters, see
// pool.Pool.Pass.
func (s *Site) Pass(r kind.Route, client netip.Addr) http.RoundTripper {
	return s.pool.Pass(r, client)
}

// Wrote says that the groups and keys of marks have changed at the primary, by a
// client or by the registry's own account. Reads of them ask the primary first for
// a while, see pool.RecentWrites.
func (s *Site) Wrote(marks []kind.Invalidation) {
	now := time.Now()
	for _, m := range marks {
		s.memory.writes.Add(m.Name, now)
	}
}

// Attempted is Wrote for a write that was sent and of which no answer tells how it
// ended.
func (s *Site) Attempted(marks []kind.Invalidation) {
	now := time.Now()
	for _, m := range marks {
		s.memory.writes.AddUnknown(m.Name, now)
	}
}

// Written says that the object of a route was changed a moment ago: no older answer
// will do while the primary can give one.
func (s *Site) Written(r kind.Route) bool {
	return s.memory.writes.Some.Load() && s.memory.writes.Concerns(r, time.Now())
}

// Outage is for how long no master for a class of requests could be asked, 0
// when one can.
func (s *Site) Outage(c kind.Class, now time.Time) time.Duration {
	p := s.pool
	if c == kind.File {
		p = s.files
	}
	if p.DownAt.Load() == 0 {
		return 0
	}
	return p.Outage(now)
}

// Drain takes a master out of rotation, or back in. Requests under way finish; a
// drained primary takes no writes either. The name is the master's number in
// [Site.Status], or the host of its URL. The error wraps ErrUnknownMaster.
func (s *Site) Drain(name string, drained bool) error {
	found := false
	for _, p := range s.pools() {
		found = p.Drain(name, drained) || found
	}
	if !found {
		return fmt.Errorf("%w: %q", ErrUnknownMaster, name)
	}
	return nil
}

// Status describes the masters, pool by pool.
func (s *Site) Status() []PoolStatus {
	var all []PoolStatus
	for _, p := range s.pools() {
		all = append(all, p.Status())
	}
	return all
}
