package fleet

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pkgedge/edge/config"
	"pkgedge/edge/fleet/figures"
	"pkgedge/edge/fleet/presence"
	"pkgedge/edge/fleet/purgelog"
	"pkgedge/edge/fleet/vault"
)

// Deps are the parts of the edge that a fleet acts on.
type Deps struct {
	Dir     string // of the cache: the place in the log and the outbox are there
	Version string
	Log     *slog.Logger
	// Apply puts purges of other edges in force. It returns when they are in this edge's journal.
	Apply func([]purgelog.Entry) error
	// Stale puts everything in doubt, or all metadata alone.
	Stale func(metadata bool) error

	// For tests, 0 for the usual ones: between two ticks of the log, of a lease, without the log
	// before this edge follows feeds itself, and for the purges of the meantime.
	Tick, Lease, Alone, CatchUp time.Duration
}

// Fleet is this edge's part of its fleet. The methods of a nil Fleet do nothing: it is an edge
// alone. It is safe for concurrent use.
type Fleet struct {
	cfg   *config.Fleet
	deps  Deps
	log   *purgelog.Log
	here  *presence.Presence
	vault *vault.Vault // nil where the edges share no certificates
	stop  context.CancelFunc
	done  sync.WaitGroup

	connected chan struct{} // closed when conn and js are there

	mu      sync.Mutex
	conn    *nats.Conn // nil while there was none
	js      jetstream.JetStream
	follows map[string]int // sites whose feed this edge follows for all
}

// Open opens the log of an edge, and starts nothing. It is nil for an edge without NATS servers.
func Open(cfg *config.Fleet, deps Deps) (*Fleet, error) {
	if len(cfg.NATS) == 0 {
		return nil, nil
	}
	f := &Fleet{cfg: cfg, deps: deps, stop: func() {}, connected: make(chan struct{}), follows: make(map[string]int)}
	var err error
	f.log, err = purgelog.Open(purgelog.Config{
		Name: cfg.Name, Dir: deps.Dir, Apply: deps.Apply, Stale: deps.Stale, Members: func() int { return f.here.Count() }, Log: deps.Log, Tick: deps.Tick,
	})
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	if cfg.Seal != "" {
		if f.vault, err = vault.New(vault.Config{Engine: f.servers, Name: cfg.Name, Seal: cfg.Seal, Note: f.note}); err != nil {
			return nil, err
		}
	}
	f.here = presence.New(presence.Self{Name: cfg.Name, Pop: cfg.Pop, Address: f.address, Version: deps.Version, Log: f.log})
	return f, nil
}

// Start begins the work: from now on purges of others are put in force.
func (f *Fleet) Start() {
	if f == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	f.done.Go(func() { f.run(ctx) })
	if f.cfg.Unheard > 0 {
		f.done.Go(func() { f.watch(ctx) })
	}
}

// catchUpFor is how long an edge that starts waits for the purges of the meantime.
const catchUpFor = 2 * time.Second

// CatchUp waits until the purges are in force that were made while this edge was off, for two
// seconds at most: an edge that answers before has old bytes. It waits for nothing in an edge alone.
func (f *Fleet) CatchUp(ctx context.Context) {
	if f == nil {
		return
	}
	limited, cancel := context.WithTimeout(ctx, cmp.Or(f.deps.CatchUp, catchUpFor))
	defer cancel()
	_ = f.log.AwaitLive(limited) // else they are in force later, as those that are made now
}

// run connects, and works until ctx is done.
func (f *Fleet) run(ctx context.Context) {
	nc, js, err := Connect(ctx, f.cfg, true, f.note)
	if err != nil {
		f.deps.Log.Error("fleet: this edge is alone until it is started again", "error", err)
		return
	}
	defer nc.Close()
	f.mu.Lock()
	f.conn = nc
	f.mu.Unlock()
	f.engine(js)
	f.work(ctx, nc, js)
}

func (f *Fleet) work(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) {
	var all sync.WaitGroup
	all.Go(func() { f.log.Run(ctx, js) })
	all.Go(func() { f.here.Run(ctx, nc) })
	all.Wait()
}

// note logs an event of the connection.
func (f *Fleet) note(event string, err error) {
	if err == nil {
		f.deps.Log.Info("fleet: NATS: " + event)
		return
	}
	f.deps.Log.Warn("fleet: NATS: "+event, "error", err)
}

// watch puts everything in doubt each time that the log was not live for as long as the
// configuration allows.
func (f *Fleet) watch(ctx context.Context) {
	f.CatchUp(ctx) // the time for which this edge was off counts
	for {
		wait := f.unheard(time.Now())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		if f.log.Live() || f.unheard(time.Now()) > 0 {
			continue
		}
		f.deps.Log.Warn("fleet: the log of purges is not live for too long: everything is validated before use", "unheard", f.cfg.Unheard)
		if err := f.deps.Stale(false); err != nil {
			f.deps.Log.Error("fleet", "error", err)
		}
		select { // responses that were stored since are in doubt after as long again
		case <-time.After(f.cfg.Unheard):
		case <-ctx.Done():
			return
		}
	}
}

// unheard is how long the log may still be not live.
func (f *Fleet) unheard(now time.Time) time.Duration {
	return f.cfg.Unheard - now.Sub(f.log.Heard())
}

// Announce has purges told to all edges that are in force here. It returns when they are on
// disk, and waits for no server.
func (f *Fleet) Announce(all ...purgelog.Entry) error {
	if f == nil {
		return nil
	}
	return f.log.Announce(all...)
}

const (
	// publishFor is how long a purge waits for the log.
	publishFor = 2 * time.Second
	// MinWait is how long the other edges are asked in any case.
	MinWait = 250 * time.Millisecond
	// MaxWait is how long they are asked at most.
	MaxWait = 20 * time.Second
)

// Publish announces purges, and says how far they have come after a wait.
func (f *Fleet) Publish(ctx context.Context, wait time.Duration, all ...purgelog.Entry) (figures.Spread, error) {
	limited, cancel := context.WithTimeout(ctx, publishFor)
	defer cancel()
	log, seq, durable, err := f.log.Publish(limited, all...)
	s := figures.Spread{Durable: durable, Seq: seq, Applied: 1}
	if err != nil || !durable {
		for _, m := range f.here.Members()[1:] {
			s.Missing = append(s.Missing, m.Name)
		}
		s.Members = 1 + len(s.Missing)
		return s, err
	}
	asking, cancelAsking := context.WithTimeout(ctx, min(max(wait, MinWait), MaxWait))
	defer cancelAsking()
	reached, missing := f.here.Reached(asking, log, seq)
	s.Applied += len(reached)
	s.Members, s.Missing = s.Applied+len(missing), missing
	return s, nil
}

// Live reports whether the purges of other edges are in force here within a moment.
func (f *Fleet) Live() bool { return f != nil && f.log.Live() }

// Edges are the edges of the fleet, this one first; nil for an edge alone.
func (f *Fleet) Edges() []figures.Edge {
	if f == nil {
		return nil
	}
	return f.here.Members()
}

// Members are the addresses where the edges of this one's pop are asked, those that are heard.
func (f *Fleet) Members() (all []string) {
	for _, e := range f.Edges() {
		if e.Pop == f.cfg.Pop && e.Address != "" && !e.Away {
			all = append(all, e.Address)
		}
	}
	slices.Sort(all)
	return all
}

// address is where siblings ask this edge. One that listens everywhere is asked where the NATS
// servers see it.
func (f *Fleet) address() string {
	host, port, err := net.SplitHostPort(f.cfg.Listen)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.IsUnspecified()) {
		return f.cfg.Listen
	}
	nc := f.connection()
	if nc == nil {
		return ""
	}
	ip, err := nc.GetClientIP()
	if err != nil {
		return ""
	}
	return net.JoinHostPort(ip.String(), port)
}

// connection is that with the servers, nil before there was an attempt.
func (f *Fleet) connection() *nats.Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conn
}

// Close ends the work, and waits for its end.
func (f *Fleet) Close() error {
	if f == nil {
		return nil
	}
	f.stop()
	f.done.Wait()
	return f.log.Close()
}
