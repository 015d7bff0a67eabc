package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pkgedge/edge/config"
	"pkgedge/edge/fleet/presence"
	"pkgedge/edge/fleet/purgelog"
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

	Tick time.Duration // of the log; 0 for its own
}

// Fleet is this edge's part of its fleet. The methods of a nil Fleet do nothing: it is an edge
// alone. It is safe for concurrent use.
type Fleet struct {
	cfg  *config.Fleet
	deps Deps
	log  *purgelog.Log
	here *presence.Presence
	stop context.CancelFunc
	done sync.WaitGroup

	mu   sync.Mutex
	conn *nats.Conn // nil while there was none
}

// Open starts the fleet's work. It waits for no server. It is nil for an edge without NATS servers.
func Open(cfg *config.Fleet, deps Deps) (*Fleet, error) {
	if len(cfg.NATS) == 0 {
		return nil, nil
	}
	f := &Fleet{cfg: cfg, deps: deps}
	var err error
	f.log, err = purgelog.Open(purgelog.Config{
		Name: cfg.Name, Dir: deps.Dir, Apply: deps.Apply, Stale: deps.Stale, Members: func() int { return f.here.Count() }, Log: deps.Log, Tick: deps.Tick,
	})
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	f.here = presence.New(presence.Self{Name: cfg.Name, Pop: cfg.Pop, Address: cfg.Listen, Version: deps.Version, Log: f.log})
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	f.done.Go(func() { f.run(ctx) })
	if cfg.Unheard > 0 {
		f.done.Go(func() { f.watch(ctx) })
	}
	return f, nil
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
		select { // what came since is in doubt after as long again
		case <-time.After(f.cfg.Unheard):
		case <-ctx.Done():
			return
		}
	}
}

// unheard is how long the log may still be not live.
func (f *Fleet) unheard(now time.Time) time.Duration {
	return f.cfg.Unheard - now.Sub(f.log.LastLive())
}

// Announce has purges told to all edges that are in force here. It returns when they are on
// disk, and waits for no server.
func (f *Fleet) Announce(all ...purgelog.Entry) error {
	if f == nil {
		return nil
	}
	return f.log.Announce(all...)
}

// Spread is how far a purge has come.
type Spread struct {
	Durable bool     `json:"durable"`           // the log has it; else it waits in the outbox
	Seq     uint64   `json:"seq,omitempty"`     // its place in the log
	Applied int      `json:"applied"`           // at how many edges it is in force, this one among them
	Members int      `json:"members"`           // how many edges there are
	Missing []string `json:"missing,omitempty"` // the others
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
func (f *Fleet) Publish(ctx context.Context, wait time.Duration, all ...purgelog.Entry) (Spread, error) {
	limited, cancel := context.WithTimeout(ctx, publishFor)
	defer cancel()
	seq, durable, err := f.log.Publish(limited, all...)
	s := Spread{Durable: durable, Seq: seq, Applied: 1}
	if err != nil || !durable {
		for _, m := range f.here.Members()[1:] {
			s.Missing = append(s.Missing, m.Name)
		}
		s.Members = 1 + len(s.Missing)
		return s, err
	}
	asking, cancelAsking := context.WithTimeout(ctx, min(max(wait, MinWait), MaxWait))
	defer cancelAsking()
	reached, missing := f.here.Reached(asking, seq)
	s.Applied += len(reached)
	s.Members, s.Missing = s.Applied+len(missing), missing
	return s, nil
}

// Live reports whether the purges of other edges are in force here within a moment.
func (f *Fleet) Live() bool { return f != nil && f.log.Live() }

// Members are the edges of the fleet, this one first.
func (f *Fleet) Members() []presence.Member { return f.here.Members() }

// Close ends the work, and waits for its end.
func (f *Fleet) Close() error {
	if f == nil {
		return nil
	}
	f.stop()
	f.done.Wait()
	return errors.Join(f.log.Close())
}
