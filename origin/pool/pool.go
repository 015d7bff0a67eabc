package pool

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

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

	// Observe is told how each request to a master ended: "200", "timeout",
	// "refused", …: a small set. It may be nil.
	Observe func(master, result string)

	// LatencyFloor is the time to a first byte below which masters count as
	// equally near, and share the reads evenly; 0 for 10 ms.
	LatencyFloor time.Duration
}

const latencyFloor = 10 * time.Millisecond

// Pool is the masters that serve one class of a site's requests. It is safe for
// concurrent use.
type Pool struct {
	*health.Group
	cfg       Config
	transport *transport.Transport

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

// Observe tells the metrics of something at a master.
func (p *Pool) Observe(m *health.Master, word string) { p.cfg.Observe(m.Name(), word) }

// BadCopy notes that a master sent a wrong copy of a file, or broke off.
func (p *Pool) BadCopy(m *health.Master, key string) { p.badCopies.add(m, key, time.Now()) }

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
	Absent                  // as Next, but two that say so, or the primary, are an answer
)

// Use judges a response whose status has been looked at: 2xx, 304 and the 4xx that
// are answers. An error with Accepted means that something has been released
// already, and that the fetch has failed.
type Use func(context.Context, *health.Master, *http.Response) (Verdict, error)

// Each asks masters until use accepts a response.
//
// A master is asked when the one before it has failed, and for metadata also
// when that takes unusually long. Use is called for one response at a time, and
// never again once it has accepted one.
func (p *Pool) Each(ctx context.Context, req Request, use Use) error {
	order, usable := p.order(&req)
	if len(order) == 0 {
		return p.refusal()
	}
	if p.badCopies.some.Load() {
		p.badCopies.moveLast(order[:usable], req.Route.Key, time.Now())
	}
	pref := anyMaster
	if p.cfg.Writes.Some.Load() {
		pref = p.cfg.Writes.preference(&req, time.Now())
		pref.arrange(order[:usable])
	}
	p.retries.earn(time.Now())
	p.hedges.earn(time.Now())
	r := newRace(ctx, p, &req, order, usable)
	defer r.end()
	r.askNext()
	hedge := time.NewTimer(p.hedgeAfter(&req, usable, pref))
	defer hedge.Stop()
	u := &Unavailable{}
	missing := 0
	for {
		var got *reply
		select {
		case <-hedge.C:
			r.hedge()
			continue
		case got = <-r.replies:
			r.pending--
		}
		verdict, err := got.judge(r.finished(), missing == 0, use)
		if verdict == Accepted {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		u.add(got.Master, got.took, got.resp != nil, err)
		if verdict == Absent {
			missing++
		}
		if r.pending > 0 {
			continue
		}
		if r.finished() || missing > 0 && r.asked >= usable { // a master that is out cannot confirm an absence
			return u
		}
		unasked := errors.Is(err, health.ErrBusy) // so that the next request is no second one
		if unasked && p.Down() {
			return p.refusal()
		}
		trial := pref == tryReplica && r.asked == 1 // has a bound of its own
		if verdict != Absent && !unasked && !trial && !p.mayRetry(req.Stale) {
			u.Tried = append(u.Tried, errBudget)
			return u
		}
		r.askNext()
	}
}

// mayRetry says whether another master may be asked after one has failed. A request
// that has a stale answer leaves half of the budget to those that have none.
func (p *Pool) mayRetry(stale bool) bool {
	leave := 0.0
	if stale {
		leave = 0.5
	}
	if !p.retries.spend(time.Now(), leave) {
		return false
	}
	p.retried.Add(1)
	return true
}

// refusal is the error where there is no master to ask.
func (p *Pool) refusal() error {
	u := &Unavailable{Tried: []error{ErrOutage}}
	for _, m := range p.Masters() {
		u.Tried = append(u.Tried, &Trial{Name: m.Name(), Role: m.Role(), Err: p.Reason(m)})
	}
	return u
}
