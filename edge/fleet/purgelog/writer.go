package purgelog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// parallel is how many purges are published at a time.
	parallel = 32
	// publishFor is how long the log may take to acknowledge one.
	publishFor = 2 * time.Second
	// retryAfter is apart two attempts while the log takes nothing.
	retryAfter = 500 * time.Millisecond
)

// write publishes the purges of the outbox until ctx is done. Each time that the log comes live it
// also looks whether that has lost something.
func (l *Log) write(ctx context.Context, js jetstream.JetStream) {
	repeat := time.NewTimer(0)
	defer repeat.Stop()
	checked := false   // since the log came live
	resets := int64(0) // before that: a log may be made anew without a moment in which it was seen not to be live
	for {
		select {
		case <-l.kick:
		case <-repeat.C:
		case <-ctx.Done():
			return
		}
		live, now := l.Live(), l.counts.resets.Load()
		if checked = checked && live && now == resets; live && !checked {
			if err := l.repair(ctx, js); err != nil {
				l.fail(err)
			} else {
				checked, resets = true, now
			}
		}
		err := l.flush(ctx, js)
		if err != nil && ctx.Err() == nil {
			l.fail(err)
		}
		wait := l.every()
		if err != nil {
			wait = min(retryAfter, wait)
		}
		repeat.Reset(wait)
	}
}

// flush publishes until the outbox is empty.
func (l *Log) flush(ctx context.Context, js jetstream.JetStream) error {
	for {
		some := l.outbox.next(parallel)
		if len(some) == 0 {
			return nil
		}
		if err := l.publish(ctx, js, some); err != nil {
			return err
		}
	}
}

// publish publishes items at a time.
func (l *Log) publish(ctx context.Context, js jetstream.JetStream, some []*item) error {
	l.mu.Lock()
	before := l.place
	l.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, publishFor)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	done := make(map[*item]uint64, len(some))
	var failed error
	for _, i := range some {
		all.Go(func() {
			seq, err := l.send(limited, js, i, before)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
				return
			}
			done[i] = seq
		})
	}
	all.Wait()
	if len(done) > 0 {
		log := before.Log
		if log == "" {
			log = "?" // it is not known yet which one that was: repair looks for the items
		}
		if err := l.outbox.acknowledge(log, done); err != nil {
			l.cfg.Log.Warn("log of purges", "error", err)
		}
		l.counts.published.Add(int64(len(done)))
		l.move()
	}
	return failed
}

// errOtherLog is for an acknowledgement that may be of another log than this edge reads. Its place
// would say nothing of other edges, and the message is sent again.
var errOtherLog = errors.New("the log has gone back, or is another one: this edge looks at it anew")

// send publishes one item, and returns its place. before is the edge's place before that.
func (l *Log) send(ctx context.Context, js jetstream.JetStream, i *item, before place) (uint64, error) {
	data, err := json.Marshal(message{l.process, l.cfg.Name, i.Entry})
	if err != nil {
		return 0, err
	}
	opts := []jetstream.PublishOpt{jetstream.WithMsgID(i.ID), jetstream.WithExpectStream(Stream), jetstream.WithRetryAttempts(0)}
	if i.Entry.Change {
		opts = append(opts, jetstream.WithMsgTTL(changeKept))
	}
	ack, err := js.PublishMsg(ctx, &nats.Msg{Subject: i.Entry.subject(), Data: data}, opts...)
	if err != nil {
		return 0, fmt.Errorf("the log takes no purge: %w", explain(err))
	}
	at := ack.Sequence
	if ack.Duplicate { // it is the place of the first one, which may have been read
		at = math.MaxUint64
	}
	if !l.follows(before, at) {
		return 0, errOtherLog
	}
	return ack.Sequence, nil
}
