package purgelog

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Config describes a log for one edge.
type Config struct {
	Name string // of the edge
	Dir  string // where the place and the outbox are
	// Apply puts purges of other edges in force. It returns when they are in this edge's own
	// journal.
	Apply func([]Entry) error
	// Stale puts everything in doubt, once, or all metadata alone.
	Stale func(metadata bool) error
	// Members is how many edges there are, as far as is known. Ticks are fewer where they are many.
	Members func() int
	Log     *slog.Logger

	Tick time.Duration // between two proofs of life; 0 for 1 s
}

// missedTicks is how many ticks may be missing before the log counts as not live.
const missedTicks = 3

// Log is the log of purges of a fleet, as one edge reads and writes it. It is safe for
// concurrent use.
type Log struct {
	cfg     Config
	process string // a random name: two edges of one name are told apart
	begun   time.Time
	outbox  *outbox
	kick    chan struct{} // wakes the writer
	ticks   atomic.Int64  // the number of the last one
	heard   atomic.Int64  // when the newest tick that was read back had been sent, as nanoseconds since begun; 0 for none
	back    atomic.Bool   // an acknowledgement showed that the log has gone back
	counts  counts

	mu      sync.Mutex
	place   place
	sent    map[int64]time.Duration // ticks that were not read back yet, by their numbers; when they were sent
	moved   chan struct{}           // closed when the place moves, or an item is acknowledged
	state   state
	feeds   map[string]heardFeed
	telling map[string]func() (FeedState, bool)
}

// state is the log as the status shows it.
type state struct {
	live  bool
	since time.Time // of live, or of not
	why   string    // it is not
	told  bool      // that it was live, or was not since the start
	last  uint64    // sequence of the log, as far as is known
}

// Open reads the place and the outbox of an edge. Nothing is asked of any server before Run.
func Open(cfg Config) (*Log, error) {
	cfg.Tick = cmp.Or(cfg.Tick, time.Second)
	now := time.Now()
	l := &Log{
		cfg: cfg, process: rand.Text(), begun: now, kick: make(chan struct{}, 1),
		sent: make(map[int64]time.Duration), moved: make(chan struct{}), state: state{since: now, why: "starting"},
		feeds: make(map[string]heardFeed), telling: make(map[string]func() (FeedState, bool)),
	}
	var err error
	if l.place, err = loadPlace(cfg.Dir); err != nil {
		cfg.Log.Warn("log of purges: all is put in doubt", "error", err)
	}
	if l.outbox, err = openOutbox(cfg.Dir, rand.Text); err != nil {
		return nil, err
	}
	return l, nil
}

// Run reads and writes the log until ctx is done.
func (l *Log) Run(ctx context.Context, js jetstream.JetStream) {
	var all sync.WaitGroup
	all.Go(func() { l.read(ctx, js) })
	all.Go(func() { l.write(ctx, js) })
	all.Go(func() { l.prove(ctx, js) })
	all.Wait()
	l.settle(time.Now(), "stopped")
	l.savePlace()
}

// Close closes the outbox, behind Run. Purges that are announced afterwards fail.
func (l *Log) Close() error { return l.outbox.close() }

// Announce has purges published that are in force here. It returns when they are on disk, and
// waits for no server.
func (l *Log) Announce(all ...Entry) error {
	_, err := l.announce(all)
	return err
}

func (l *Log) announce(all []Entry) ([]*item, error) {
	if len(all) == 0 {
		return nil, nil
	}
	told := make([]Entry, len(all))
	for n, e := range all {
		told[n] = e.bounded()
	}
	items, err := l.outbox.add(told)
	l.wake()
	return items, err
}

func (l *Log) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// Publish announces purges and waits until the log has them, or ctx is done: then they stay in
// the outbox, and acknowledged is false. seq is the place of the last one in the log of that id.
func (l *Log) Publish(ctx context.Context, all ...Entry) (log string, seq uint64, acknowledged bool, err error) {
	items, err := l.announce(all)
	if err != nil {
		return "", 0, false, err
	}
	err = l.await(ctx, func() bool {
		l.outbox.mu.Lock()
		defer l.outbox.mu.Unlock()
		seq = 0
		for _, i := range items {
			if i.Log == "" {
				return false
			}
			log, seq = i.Log, max(seq, i.Seq)
		}
		return true
	})
	if err != nil {
		return "", 0, false, nil
	}
	return log, seq, true, nil
}

// Await waits until all purges up to seq of a log are in force here.
func (l *Log) Await(ctx context.Context, log string, seq uint64) error {
	return l.await(ctx, func() bool {
		is, at := l.Place()
		return is == log && at >= seq
	})
}

// AwaitLive waits until the log is live: then all purges of before are in force here.
func (l *Log) AwaitLive(ctx context.Context) error { return l.await(ctx, l.Live) }

// await waits until done, which is asked each time that something has moved.
func (l *Log) await(ctx context.Context, done func() bool) error {
	for {
		l.mu.Lock()
		moved := l.moved
		l.mu.Unlock()
		if done() {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// move wakes those that wait.
func (l *Log) move() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.moved)
	l.moved = make(chan struct{})
}

// Place is the sequence of a log up to which all purges are in force here. A sequence says
// nothing without the log's id: that of a log that was made anew begins again.
func (l *Log) Place() (log string, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.place.Log, l.place.Seq
}

// Live reports whether purges of other edges are in force here within a moment: this edge's
// own tick came back through the log.
func (l *Log) Live() bool {
	heard := l.heard.Load()
	return heard != 0 && time.Since(l.begun)-time.Duration(heard) < missedTicks*l.every()
}

// memberCost is how much longer ticks are apart for each edge, so that a log of a thousand
// edges has some 300 in a second.
const memberCost = 3 * time.Millisecond

// every is the time between two ticks.
func (l *Log) every() time.Duration {
	if l.cfg.Members == nil {
		return l.cfg.Tick
	}
	return max(l.cfg.Tick, time.Duration(l.cfg.Members())*memberCost)
}
