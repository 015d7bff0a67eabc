package purgelog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// tick is a proof of life: when its edge reads it, the log takes messages, and this edge has
// all that came before.
type tick struct {
	Process string `json:"process"`
	N       int64  `json:"n"`
}

// prove publishes ticks until ctx is done, and the states of feeds that this edge follows.
func (l *Log) prove(ctx context.Context, js jetstream.JetStream) {
	for ctx.Err() == nil {
		begun := time.Now()
		if err := l.tick(ctx, js); err != nil && ctx.Err() == nil {
			l.fail(err)
		}
		l.settle(time.Now(), "")
		l.tellFeeds(ctx, js)
		rest(ctx, l.every()-time.Since(begun))
	}
}

// maxSent bounds the ticks whose return is awaited.
const maxSent = 64

// tick publishes one tick. Its place in the log shows whether the log has lost something.
func (l *Log) tick(ctx context.Context, js jetstream.JetStream) error {
	n := l.ticks.Add(1)
	l.mu.Lock()
	before := l.place
	if len(l.sent) >= maxSent {
		clear(l.sent)
	}
	l.sent[n] = time.Since(l.begun)
	l.mu.Unlock()
	data, err := json.Marshal(tick{l.process, n})
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, missedTicks*l.every())
	defer cancel()
	ack, err := js.PublishMsg(limited, &nats.Msg{Subject: l.tickSubject(), Data: data}, jetstream.WithExpectStream(Stream), jetstream.WithRetryAttempts(0))
	if err != nil {
		return fmt.Errorf("the log takes no tick: %w", explain(err))
	}
	l.follows(before, ack.Sequence)
	return nil
}

// follows reports whether a message is in the log that this edge reads, where before was the
// edge's place before it was sent. One whose place had been read before shows that the log is
// another one, or has lost messages: the reader looks at it anew.
func (l *Log) follows(before place, seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.back.Load() || before.Log != l.place.Log || before.Seq > l.place.Seq {
		return false // the reader is to look, or has looked meanwhile: it may be in either log
	}
	if seq <= before.Seq {
		l.back.Store(true)
		return false
	}
	return true
}

// explain puts the errors of the client that say little in other words.
func explain(err error) error {
	switch {
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return errors.New("there is no such stream, or it has no leader")
	case errors.Is(err, nats.ErrHeadersNotSupported), errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrConnectionReconnecting):
		return errors.New("there is no connection with the NATS servers") // the client does not know their features yet
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return errors.New("no answer in time")
	}
	return err
}

// readBack is when a tick that came back had been sent, 0 for one of another process.
func (l *Log) readBack(data []byte) int64 {
	var t tick
	if json.Unmarshal(data, &t) != nil || t.Process == "" {
		return 0
	}
	if t.Process != l.process {
		l.otherName(time.Now())
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.sent[t.N]
	if !ok {
		return 0
	}
	delete(l.sent, t.N)
	return max(1, int64(at))
}

// otherName tells of another edge of this name. The last tick of a process that ended is one
// of it, and so are those of an edge that this one replaces.
func (l *Log) otherName(now time.Time) {
	if n := l.counts.strangers.Add(1); n%60 == 5 {
		l.cfg.Log.Error("log of purges: another edge has the name of this one; give each a fleet.name of its own", "name", l.cfg.Name)
	}
}
