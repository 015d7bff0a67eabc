package purgelog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// ask bounds a question to the servers.
	ask = 3 * time.Second
	// atOnce is how many messages are applied together.
	atOnce = 512
	// pullFor is how long the servers keep a request for messages open.
	pullFor = 10 * time.Second
	// leastRest and mostRest are apart two attempts to read the log.
	leastRest, mostRest = 100 * time.Millisecond, 2 * time.Second
)

// read keeps a session with the log until ctx is done.
func (l *Log) read(ctx context.Context, js jetstream.JetStream) {
	wait := leastRest
	for ctx.Err() == nil {
		begun := time.Now()
		err := l.session(ctx, js)
		if ctx.Err() != nil {
			return
		}
		l.fail(err)
		if time.Since(begun) > 10*mostRest {
			wait = leastRest
		}
		rest(ctx, wait/2+rand.N(wait))
		wait = min(2*wait, mostRest)
	}
}

// rest waits for a while, or until ctx is done.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// session reads the log by one consumer, until that fails or is silent.
func (l *Log) session(ctx context.Context, js jetstream.JetStream) error {
	asking, cancel := context.WithTimeout(ctx, ask)
	defer cancel()
	s, err := js.Stream(asking, Stream)
	if err != nil {
		return fmt.Errorf("cannot look at the stream %s: %w", Stream, err)
	}
	if err := l.find(ctx, s); err != nil {
		return err
	}
	_, at := l.Place()
	creating, cancelCreating := context.WithTimeout(ctx, ask)
	defer cancelCreating()
	// A new name each time: a consumer of before may still be there, and stuck.
	c, err := s.CreateConsumer(creating, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: at + 1,
		FilterSubjects: []string{hardFilter, softFilter, feedSubject + "*", l.tickSubject()}, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("cannot make a consumer: %w", err)
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), ask/10)
		defer cancel()
		_ = s.DeleteConsumer(ending, c.CachedInfo().Name) // else it ends by itself
	}()
	return l.consume(ctx, c)
}

func (l *Log) tickSubject() string { return tickSubject + token(l.cfg.Name) }

// find makes the place one in this log. It puts everything in doubt where it was none.
func (l *Log) find(ctx context.Context, s jetstream.Stream) error {
	info := s.CachedInfo()
	id, err := idOf(info)
	if err != nil {
		return err
	}
	l.mu.Lock()
	p := l.place
	l.mu.Unlock()
	verdict := p.judge(id, info.State.LastSeq)
	if verdict == wentBack { // look twice: a server may lag that has just become the leader
		rest(ctx, l.cfg.Tick)
		asking, cancel := context.WithTimeout(ctx, ask)
		defer cancel()
		if info, err = s.Info(asking); err != nil {
			return fmt.Errorf("cannot look at the stream %s again: %w", Stream, err)
		}
		if id, err = idOf(info); err != nil {
			return err
		}
		verdict = p.judge(id, info.State.LastSeq)
	}
	if l.back.Load() && verdict == goesOn {
		verdict = wentBack
	}
	if verdict == goesOn {
		if time.Since(p.At) > changeKept/2 {
			l.cfg.Log.Warn("log of purges: this edge was away for long, changes of feeds may be missing: all metadata is put in doubt", "since", p.At)
			if err := l.cfg.Stale(true); err != nil {
				return err
			}
			p.At = time.Now()
			l.setPlace(p)
		}
		return nil
	}
	why := "it is another log than before"
	switch {
	case p.Log == "":
		why = "this edge had no place in it"
	case verdict == wentBack:
		why = "it has lost messages that were read"
	}
	l.cfg.Log.Warn("log of purges: everything is put in doubt", "reason", why, "log", id, "place", p.Seq, "last", info.State.LastSeq)
	if err := l.cfg.Stale(false); err != nil {
		return fmt.Errorf("cannot put everything in doubt: %w", err)
	}
	l.counts.resets.Add(1)
	l.heard.Store(0) // the log is read from its beginning, and live when this edge has its own tick of that
	next := place{Log: id, At: time.Now()}
	if p.Log == id { // old purges are not put in force once more: one of everything would empty the cache
		next.Before = earlier{p.Seq, p.Stamp}
	}
	l.setPlace(next)
	return l.savePlace()
}

func (l *Log) setPlace(p place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.place = p
	l.back.Store(false) // it was about the place of before
}

func (l *Log) savePlace() error {
	l.mu.Lock()
	p := l.place
	l.mu.Unlock()
	if p.Log == "" {
		return nil
	}
	return p.save(l.cfg.Dir)
}

// consume applies messages until the consumer fails, or is silent for longer than a log that
// is well can be.
func (l *Log) consume(ctx context.Context, c jetstream.Consumer) error {
	begun, saved := time.Now(), time.Now()
	beat := max(missedTicks*l.every()/2, 50*time.Millisecond)
	for ctx.Err() == nil && !l.back.Load() {
		batch, err := c.Fetch(atOnce, jetstream.FetchMaxWait(pullFor), jetstream.FetchHeartbeat(min(beat, pullFor/3)))
		if err != nil {
			return fmt.Errorf("cannot ask for messages: %w", err)
		}
		if err := l.drain(ctx, batch, begun, &saved); err != nil {
			return err
		}
		if err := batch.Error(); err != nil && !errors.Is(err, jetstream.ErrNoMessages) {
			return fmt.Errorf("cannot read: %w", err)
		}
	}
	return context.Cause(ctx)
}

// drain applies the messages of one request.
func (l *Log) drain(ctx context.Context, batch jetstream.MessageBatch, begun time.Time, saved *time.Time) error {
	watch := time.NewTicker(max(l.every()/2, time.Millisecond))
	defer watch.Stop()
	some := make([]jetstream.Msg, 0, atOnce)
	for {
		select {
		case m, ok := <-batch.Messages():
			if !ok {
				return nil
			}
			some = append(some[:0], m)
		case <-watch.C:
			if silent := 2 * missedTicks * l.every(); !l.Live() && time.Since(begun) > silent {
				return fmt.Errorf("silent for %s: another consumer is tried", silent)
			}
			if l.back.Load() {
				return nil
			}
			continue
		case <-ctx.Done():
			return nil
		}
		for more := true; more && len(some) < atOnce; {
			select {
			case m, ok := <-batch.Messages():
				if more = ok; ok {
					some = append(some, m)
				}
			default:
				more = false
			}
		}
		if err := l.apply(some); err != nil {
			return err
		}
		if time.Since(*saved) > l.cfg.Tick {
			*saved = time.Now()
			if err := l.savePlace(); err != nil {
				l.cfg.Log.Warn("log of purges", "error", err)
			}
		}
	}
}

// apply puts the purges of messages in force, and only then moves the place.
func (l *Log) apply(some []jetstream.Msg) error {
	var entries []Entry
	var last uint64
	var ahead uint64
	var heard int64
	var stamp time.Time
	l.mu.Lock()
	place := l.place
	l.mu.Unlock()
	type state struct {
		site string
		data []byte
	}
	var feeds []state
	for _, m := range some {
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("a message is none of a stream: %w", err)
		}
		stamp = meta.Timestamp
		last, ahead = meta.Sequence.Stream, meta.Sequence.Stream+meta.NumPending
		switch subject := m.Subject(); {
		case subject == l.tickSubject():
			heard = max(heard, l.readBack(m.Data()))
		case strings.HasPrefix(subject, feedSubject):
			feeds = append(feeds, state{strings.TrimPrefix(subject, feedSubject), m.Data()})
		default:
			is, whole := decode(m.Data())
			if !whole {
				l.cfg.Log.Warn("log of purges: a message of a newer edge, or a damaged one: everything is put in doubt", "subject", subject, "seq", last)
			}
			if is.Process != l.process && !place.knows(last, stamp) { // else it is in force
				entries = append(entries, is.Entry)
			}
		}
	}
	if len(entries) > 0 {
		if err := l.cfg.Apply(entries); err != nil {
			return fmt.Errorf("cannot put purges in force: %w", err)
		}
		l.counts.applied.Add(int64(len(entries)))
	}
	for _, f := range feeds {
		l.hearFeed(f.site, f.data)
	}
	l.mu.Lock()
	l.place.Seq = max(l.place.Seq, last)
	l.state.last = max(ahead, last)
	l.place.Stamp = stamp
	if heard != 0 {
		l.place.At = time.Now()
	}
	l.mu.Unlock()
	if heard != 0 {
		l.heard.Store(heard)
		l.settle(time.Now(), "")
	}
	l.move()
	return nil
}
