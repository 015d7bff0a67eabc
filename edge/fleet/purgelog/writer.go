package purgelog

import (
	"context"
	"encoding/json"
	"fmt"
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
	checked := false // since the log came live
	for {
		select {
		case <-l.kick:
		case <-repeat.C:
		case <-ctx.Done():
			return
		}
		live := l.Live()
		if live && !checked {
			if err := l.repair(ctx, js); err != nil {
				l.fail(err)
			} else {
				checked = true
			}
		}
		checked = checked && live
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
	log := l.place.Log
	l.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, publishFor)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	done := make(map[*item]uint64, len(some))
	var failed error
	for _, i := range some {
		all.Go(func() {
			seq, err := l.send(limited, js, i)
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

// send publishes one item, and returns its place.
func (l *Log) send(ctx context.Context, js jetstream.JetStream, i *item) (uint64, error) {
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
	return ack.Sequence, nil
}
