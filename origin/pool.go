package origin

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"pkgedge/origin/kind"
	"pkgedge/origin/transport"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pool is the masters that serve one class of a site's requests, and what is
// known of them.
type pool struct {
	site, name string
	masters    []*master // the primary first
	transport  *transport.Transport
	timeouts   Timeouts
	identity   string
	credential string // Authorization of fetches and probes; "" for the client's
	publicBase string
	observe    func(master, result string)
	log        *slog.Logger

	probe     Probe
	ping      string                                       // the registry's own path for probes, "" where it has none
	probePath func(kind.Route) string                      // see kind.Descriptor; nil where there is none
	ask       func(context.Context, *master, target) error // a probe
	random    func(n int) int                              // below n
	near      time.Duration                                // see near
	pins      *pins                                        // of all pools of a site
	doubts    *doubts
	waits     *[classes]latency // for first bytes, at all masters

	hedges, retries *budget
	*counts

	begun   time.Time
	stop    context.CancelFunc
	probing sync.WaitGroup // probe loops
	asking  sync.WaitGroup // requests nobody waits for any more

	mu      sync.Mutex // guards each master's health too
	learnt  learnt
	news    []news
	down    time.Time    // since when no master can be asked; zero when one can
	downAt  atomic.Int64 // the same in Unix nanoseconds, 0 for zero, to look at without the lock
	outages int64        // ever
}

// master is one origin server.
type master struct {
	n       int // in the site's status
	base    *url.URL
	name    string // for logs and metrics: scheme, host and base path
	primary bool
	spare   bool
	client  *http.Client // follows redirects

	rooms   *[classes]bulkhead
	latency *latency
	kick    chan struct{} // wakes the probe loop

	health // guarded by the pool's mu
}

// counts are for metrics.
type counts struct {
	hedged, retried atomic.Int64
}

// The names of a site's pools.
const (
	poolOfAll   = "masters"
	poolOfFiles = "files"
)

func newPool(cfg Config, name string, upstreams []Upstream, first int) *pool {
	p := &pool{
		site: cfg.Site, name: name, timeouts: cfg.Timeouts, identity: cfg.Identity, credential: cfg.Credentials, publicBase: cfg.PublicBase,
		observe: cfg.Observe, log: cfg.Log, probe: cfg.Probe, ping: cfg.Kind.Ping, probePath: cfg.Kind.ProbePath, random: rand.IntN, near: near,
		doubts: newDoubts(), hedges: newHedges(), retries: newRetries(), waits: new([classes]latency), counts: new(counts), pins: newPins(),
		transport: transport.New(cfg.Timeouts),
	}
	if p.observe == nil {
		p.observe = func(string, string) {}
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	for _, u := range upstreams {
		m := &master{base: u.URL, name: u.URL.Redacted(), primary: u.Primary, spare: u.Spare,
			rooms: new([classes]bulkhead), latency: new(latency), kick: make(chan struct{}, 1)}
		m.since = time.Now()
		m.client = p.transport.Client(u.URL)
		if u.Primary {
			p.masters = slices.Insert(p.masters, 0, m)
			continue
		}
		p.masters = append(p.masters, m)
	}
	for i, m := range p.masters {
		m.n = first + i
	}
	p.ask = p.sendProbe
	return p
}

// isFiles: this pool is the one for files alone.
func (p *pool) isFiles() bool { return p.name == poolOfFiles }

// start begins to probe, until close.
func (p *pool) start() {
	ctx, stop := context.WithCancel(context.Background())
	p.stop, p.begun = stop, time.Now()
	if !p.probes() {
		return
	}
	for _, m := range p.masters {
		p.probing.Go(func() { p.watch(ctx, m) })
	}
}

// close ends the probes. No request may be under way.
func (p *pool) close() {
	p.stop()
	p.probing.Wait()
	p.asking.Wait()
	p.transport.CloseIdleConnections()
}

// primary is the master that takes the writes.
func (p *pool) primary() *master { return p.masters[0] }

// url joins the master's base with a route's path, both as escaped as they are.
func (m *master) url(path string) string {
	return transport.Join(m.base, path)
}

// try is what one master's response was good for.
type try uint8

const (
	accepted try = iota // the fetch is over
	next                // ask another master
	absent              // next, but two that say so, or the primary, are an answer
)

// each asks masters until use accepts a response. use gets a response whose
// status has been looked at: 2xx, 304 and the 4xx that are answers. Where use
// returns an error with accepted, something has been released already, and the
// fetch has failed.
//
// A master is asked when the one before it has failed, and for metadata also
// when that takes unusually long; use is called for one response at a time, and
// never again once it has accepted one.
func (p *pool) each(ctx context.Context, a Ask, use func(context.Context, *master, *http.Response) (try, error)) error {
	order, usable := p.order(&a)
	if len(order) == 0 {
		return p.refusal()
	}
	p.doubts.last(order[:usable], a.Route.Key, time.Now())
	way := p.pins.stance(&a, time.Now())
	way.arrange(order[:usable])
	p.retries.earn(time.Now())
	p.hedges.earn(time.Now())
	r := newRound(ctx, p, a, order, usable)
	defer r.end()
	r.ask()
	hedge := time.NewTimer(p.hedgeAfter(&a, usable, way))
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
		verdict, err := got.judge(r.over(), missing == 0, use)
		if verdict == accepted {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		u.note(got.master, err)
		if verdict == absent {
			missing++
		}
		if r.pending > 0 {
			continue
		}
		if r.over() || missing > 0 && r.asked >= usable { // who is out cannot confirm that something is gone
			return u
		}
		unasked := errors.Is(err, errBusy) // so that the next one is no second one
		if unasked && p.downAt.Load() != 0 {
			return p.refusal()
		}
		trial := way == tried && r.asked == 1 // has a bound of its own
		if verdict != absent && !unasked && !trial && !p.again(a) {
			u.Tried = append(u.Tried, errBudget)
			return u
		}
		r.ask()
	}
}

// again says whether another master may be asked after one has failed. What has
// a stale answer leaves half of the budget to what has none.
func (p *pool) again(a Ask) bool {
	leave := 0.0
	if a.Stale {
		leave = 0.5
	}
	if !p.retries.spend(time.Now(), leave) {
		return false
	}
	p.retried.Add(1)
	return true
}

// refusal is the error where there is no master to ask.
func (p *pool) refusal() error {
	u := &Unavailable{Tried: []error{ErrOutage}}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.masters {
		u.Tried = append(u.Tried, errors.New(m.name+": "+m.because()))
	}
	return u
}
