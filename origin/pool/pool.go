package pool

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"pkgedge/origin/complaints"
	"pkgedge/origin/health"
	"pkgedge/origin/transport"
)

// Config describes a pool.
type Config struct {
	health.Config // without its Registry and Transport

	Registry   *Registry // nil to share nothing
	Timeouts   transport.Timeouts
	PublicBase string        // URL under which clients reach the site, without a final slash
	Writes     *RecentWrites // shared by all pools of a site
	Others     []*url.URL    // masters of the site's other pools
	Nearer     []Nearer      // asked before the masters, in this order

	// Observe is told how each request to a master ended: "200", "timeout",
	// "refused", …: a small set. It may be nil.
	Observe func(master, result string)

	// Passes says whether a request for a path with its query, below the public base,
	// comes to this pool and is answered by a master: a master's URL is given at the
	// public base only then. nil is for none.
	Passes func(path string) bool

	// LatencyFloor is the time to a first byte below which masters count as
	// equally near, and share the reads evenly; 0 for 10 ms.
	LatencyFloor time.Duration
}

const latencyFloor = 10 * time.Millisecond

// Pool is the masters that serve one class of a site's requests. It is safe for
// concurrent use.
type Pool struct {
	*health.Group
	cfg        Config
	transport  *transport.Transport
	complaints complaints.Complaints

	*memory
}

// New returns a pool that does not probe before Start.
func New(cfg Config) *Pool {
	if cfg.Observe == nil {
		cfg.Observe = func(string, string) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Random == nil {
		cfg.Random = rand.IntN
	}
	if cfg.LatencyFloor == 0 {
		cfg.LatencyFloor = latencyFloor
	}
	if cfg.Writes == nil {
		cfg.Writes = NewRecentWrites()
	}
	if cfg.Registry == nil {
		cfg.Registry = new(Registry)
	}
	p := &Pool{cfg: cfg, transport: transport.New(cfg.Timeouts)}
	p.cfg.Transport = p.transport
	p.cfg.Config.Registry = &cfg.Registry.masters
	p.Group = health.NewGroup(p.cfg.Config)
	p.memory = cfg.Registry.memories.Acquire(p.Key(), newMemory)
	return p
}

// Close ends the probes. Requests under way may go on.
func (p *Pool) Close() {
	p.Group.Close()
	p.cfg.Registry.memories.Release(p.Key())
	p.transport.CloseIdleConnections()
}

// Writes are the writes of late to the site.
func (p *Pool) Writes() *RecentWrites { return p.cfg.Writes }

// BadCopy notes that a master sent a wrong copy of a file, or broke off. It says whether
// that is new.
func (p *Pool) BadCopy(m *health.Master, key string) bool {
	if m.StandIn {
		return true
	}
	return p.badCopies.Add(m, key, time.Now())
}

// Status describes the masters.
func (p *Pool) Status() health.PoolStatus {
	s := p.Group.Status()
	s.Hedged, s.Retried = p.hedged.Load(), p.retried.Load()
	return s
}

// Verdict is the caller's judgement of a response.
type Verdict uint8

const (
	Accepted Verdict = iota // the fetch is over
	Next                    // ask another master
	Absent                  // as Next, for this master has no such thing: it did answer
)

// Use judges a response whose status has been looked at: 2xx, 304 and the 4xx that
// are answers. An error with Accepted means that something has been released
// already, and that the fetch has failed.
type Use func(context.Context, *health.Master, *http.Response) (Verdict, error)

// refusal is the error where there is no master to ask.
func (p *Pool) refusal() error {
	u := &Unavailable{Tried: []error{ErrOutage}}
	for _, m := range p.Masters() {
		u.Tried = append(u.Tried, &Trial{Name: m.Name(), Role: m.Role(), Err: p.Reason(m)})
	}
	return u
}
