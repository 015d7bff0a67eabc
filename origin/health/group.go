package health

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/transport"
)

// Config describes a group.
type Config struct {
	Site, Pool string // names, for the log and the registry
	Masters    []Upstream
	First      int  // number of the first of them
	Files      bool // they serve files alone

	// Registry keeps the knowledge of the masters over a reload; nil to share
	// none.
	Registry *Registry

	Probe     Probe
	Ping      string                  // see kind.Descriptor
	ProbePath func(kind.Route) string // see kind.Descriptor; nil where there is none

	// Owns says whether a path may be probed: its name may have become private
	// since it was fetched. nil is for any path.
	Owns func(path string) bool

	Identity   string // this edge's name in Via and CDN-Loop
	Credential string // Authorization of probes; "" for none
	Transport  *transport.Transport
	Log        *slog.Logger        // nil for none
	Random     func(below int) int // nil for math/rand
}

// Upstream is one master as configured.
type Upstream struct {
	URL     *url.URL // may have a base path
	Primary bool     // takes the writes; exactly one
	Spare   bool     // asked when no other is healthy
}

// Group is the masters of one pool, as one configuration has them. It is safe for
// concurrent use.
type Group struct {
	cfg     Config
	masters []*Master // the primary first

	send  func(context.Context, *Master, target) error // sends a probe
	begun time.Time
	stop  context.CancelFunc
	loops sync.WaitGroup

	*shared
	// Guarded by shared.mu:
	notices []notice
	ejected []*Master    // in this update
	down    time.Time    // since when no master can be asked; zero when one can
	DownAt  atomic.Int64 // the same in Unix nanoseconds, 0 for zero, to read without the lock
	closed  bool         // another configuration serves

	probedSooner bool // no master is trusted
}

// Master is one origin server, as one configuration has it.
type Master struct {
	N       int // in the site's status
	Base    *url.URL
	Primary bool
	Spare   bool
	Client  *http.Client // follows redirects
	StandIn bool         // another source hands on its answer: nothing of that is news of the master
	*host

	group *Group // of the same configuration
}

// Lone says that the master alone can be asked, and that no other one could for a time.
func (m *Master) Lone(since time.Duration) bool {
	g, now, well := m.group, time.Now(), false
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range g.masters {
		switch {
		case o == m:
			well = g.usable(o)
		case g.usable(o), now.Sub(o.outSince()) < since:
			return false
		}
	}
	return well
}

// Got counts bytes of its bodies.
func (m *Master) Got(n int) { m.got.Add(int64(n)) }

// Counted is one of its bodies, whose bytes are counted, in n too.
func (m *Master) Counted(body io.ReadCloser, n *int64) io.ReadCloser { return &countedBody{body, m, n} }

type countedBody struct {
	io.ReadCloser
	master *Master
	n      *int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	*c.n += int64(n)
	c.master.Got(n)
	return n, err
}

// Role is the master's word in the configuration.
func (m *Master) Role() string {
	switch {
	case m.Primary:
		return "primary"
	case m.Spare:
		return "spare"
	}
	return "replica"
}

// Name is the master's URL without a password, for logs and metrics.
func (m *Master) Name() string { return m.name }

// URL joins the master's base with a route's path, both as escaped as they are.
func (m *Master) URL(path string) string { return transport.Join(m.Base, path) }

// NewGroup returns a group that does not probe yet.
func NewGroup(cfg Config) *Group {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Random == nil {
		cfg.Random = rand.IntN
	}
	if cfg.Registry == nil {
		cfg.Registry = new(Registry)
	}
	g := &Group{cfg: cfg}
	g.send = g.sendProbe
	for _, u := range cfg.Masters {
		m := &Master{Base: u.URL, Primary: u.Primary, Spare: u.Spare, Client: cfg.Transport.Client(u.URL), group: g}
		if u.Primary {
			g.masters = slices.Insert(g.masters, 0, m)
			continue
		}
		g.masters = append(g.masters, m)
	}
	for i, m := range g.masters {
		m.N = cfg.First + i
	}
	cfg.Registry.join(g)
	g.inheritOutage()
	return g
}

// inheritOutage: where no master can be asked, the outage began before this
// configuration, with the last of them.
func (g *Group) inheritOutage() {
	g.mu.Lock()
	defer g.mu.Unlock()
	var since time.Time
	for _, m := range g.masters {
		if g.usable(m) || m.drained.IsZero() && !m.proven {
			return
		}
		if m.outSince().After(since) {
			since = m.outSince()
		}
	}
	g.down = since
	g.DownAt.Store(since.UnixNano())
}

// Key names the pool in a registry.
func (g *Group) Key() string { return g.cfg.Site + "\x00" + g.cfg.Pool + "\x00" }

// Start begins to probe, until Close.
func (g *Group) Start() {
	ctx, stop := context.WithCancel(context.Background())
	g.stop, g.begun = stop, time.Now()
	if !g.probes() {
		return
	}
	for _, m := range g.masters {
		g.loops.Go(func() { g.probeLoop(ctx, m) })
	}
}

// Close ends the probes. Requests under way may go on.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	if g.stop != nil { // it never served otherwise
		g.stop()
	}
	g.loops.Wait()
	g.cfg.Registry.leave(g)
}

// Masters are the group's, the primary first.
func (g *Group) Masters() []*Master { return g.masters }

// Primary is the master that takes the writes.
func (g *Group) Primary() *Master { return g.masters[0] }

// Trust is how far a master is to be relied on.
type Trust uint8

const (
	Trusted  Trust = iota
	Doubted        // suspect, or out although its last probe was well
	Hopeless       // out: only better than an error
)

// Candidate is a master that a request may be sent to.
type Candidate struct {
	*Master
	Trust Trust
	Share float64 // of its usual load that it is to get, 0 to 1
}

// Candidates are the masters that no operator has drained, in no order. In an
// outage all of them are hopeless.
func (g *Group) Candidates() (all []Candidate) {
	g.update(func(now time.Time) {
		g.review(now) // before, for the changes that time has brought
		for _, m := range g.masters {
			if m.drained.IsZero() {
				all = append(all, Candidate{m, g.trustIn(m), m.share(now)})
			}
		}
	})
	return all
}

// trustIn is a master's place by its state. g.mu is held.
func (g *Group) trustIn(m *Master) Trust {
	switch {
	case m.state == suspect, m.backingOff():
		return Doubted
	case m.state == out:
		return Hopeless
	}
	return Trusted
}

// Down says whether the group is in an outage.
func (g *Group) Down() bool { return g.DownAt.Load() != 0 }

// Outage is for how long no master could be asked, 0 when one can.
func (g *Group) Outage(now time.Time) time.Duration {
	at := g.DownAt.Load()
	if at == 0 {
		return 0
	}
	return max(0, time.Duration(now.UnixNano()-at))
}

// Reason says why a master is not asked.
func (g *Group) Reason(m *Master) OutError {
	g.mu.Lock()
	defer g.mu.Unlock()
	return OutError{m.reason()}
}

// Acquire takes a place for a client's request of a class at a master, and waits up to
// longest for one. The error is ErrBusy or ctx's cause.
func (g *Group) Acquire(ctx context.Context, client netip.Addr, m *Master, c Class, longest time.Duration) error {
	err := m.limiters[c].acquire(ctx, client, g.limit(m, c), longest)
	if err == errWaited {
		// A request that has waited so long is not refused for a slow start.
		return m.limiters[c].enter(maxConcurrent[c])
	}
	return err
}

// Release gives a place back.
func (g *Group) Release(m *Master, c Class) { m.limiters[c].release(g.limit(m, c)) }

// Began says that a master has begun to answer a request of a class.
func (g *Group) Began(m *Master, c Class) { m.limiters[c].began(g.limit(m, c)) }

// limit is how many requests of a class a master may have now. One that comes back has few
// while a healthy one can take the rest, and all where none can: to be refused there is to
// get no answer. Of two that come back neither can take the rest. In an outage Enter bounds them.
func (g *Group) limit(m *Master, c Class) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.ContainsFunc(g.masters, func(o *Master) bool { return o != m && o.state == healthy && o.drained.IsZero() }) {
		return maxConcurrent[c]
	}
	return max(leastWidth, int(float64(maxConcurrent[c])*m.share(time.Now())))
}

// Waits says whether requests of a class wait for a place at the master.
func (m *Master) Waits(c Class) bool {
	_, waiting := m.limiters[c].load()
	return waiting > 0
}

// Load is how long one more request of a class would take, at a latency of no less
// than floor.
func (m *Master) Load(c Class, floor time.Duration, now time.Time) time.Duration {
	inside, waiting := m.limiters[c].load()
	return max(m.latency.Average(now), floor) * time.Duration(inside+waiting+1)
}

// Took notes how long a request to the master took without an answer.
func (m *Master) Took(took time.Duration) { m.latency.Add(time.Now(), took) }

// Answers notes how long a first byte took, and says whether that was too long: a
// second and more, and many times the latency of another master.
func (g *Group) Answers(m *Master, took time.Duration) (slow bool) {
	const much, times = time.Second, 8
	now := time.Now()
	if took >= much {
		for _, o := range g.masters {
			if usual := o.latency.Average(now); o != m && usual > 0 && took >= times*usual {
				slow = true
			}
		}
	}
	m.latency.Add(now, took)
	m.firstBytes.add(took)
	return slow
}

// firstByteBounds are the upper ends of the intervals in which times to the first byte are counted, but for
// the last one, which has none.
var firstByteBounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// histogram counts times to the first byte.
type histogram struct {
	counts [len(firstByteBounds) + 1]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

func (h *histogram) add(took time.Duration) {
	i := 0
	for i < len(firstByteBounds) && took > firstByteBounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(took))
}

// Drained says whether an operator has taken a master out of rotation.
func (g *Group) Drained(m *Master) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !m.drained.IsZero()
}

// Drain takes masters out of rotation, or back in, and says whether there is one of
// that name: a number in the status, or a host.
func (g *Group) Drain(name string, drained bool) (found bool) {
	g.update(func(now time.Time) {
		for _, m := range g.masters {
			if !m.named(name) {
				continue
			}
			found = true
			if drained == m.drained.IsZero() {
				m.drained = time.Time{}
				word := "back in rotation"
				if drained {
					m.drained, word = now, "drained"
				}
				g.log(slog.LevelInfo, "master is "+word, slog.String("master", m.name))
			}
		}
	})
	return found
}

func (m *Master) named(name string) bool {
	return name == fmt.Sprint(m.N) || name == m.Base.Host || name == m.Base.Hostname()
}
