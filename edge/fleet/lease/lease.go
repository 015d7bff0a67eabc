package lease

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pkgedge/edge/fleet/bucket"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bucket is the name of the bucket.
const Bucket = "EDGE_LEASE"

// For is how long a lease lasts that nobody renews.
const For = 10 * time.Second

// Init makes the bucket, where there is none. An edge never calls it.
func Init(ctx context.Context, js jetstream.JetStream, replicas int) (made bool, err error) {
	return bucket.Make(ctx, js, jetstream.KeyValueConfig{
		Bucket: Bucket, Description: "Leases of a fleet of edges, made by edge fleet init", Replicas: replicas, LimitMarkerTTL: time.Minute,
	})
}

// Holder takes one lease again and again.
type Holder struct {
	JS   jetstream.JetStream
	Key  string        // of the lease
	Name string        // of this edge, for people that look at the bucket
	For  time.Duration // that a lease lasts; 0 for For
	// Note is told why the lease cannot be had, for another reason than that an edge has it.
	Note func(error)
}

// Run calls do each time that this edge has the lease. Its context ends when the lease is lost, or
// may be. Run returns when ctx is done and do has returned.
func (h Holder) Run(ctx context.Context, do func(context.Context)) {
	if h.For == 0 {
		h.For = For
	}
	for ctx.Err() == nil {
		seq, at, err := h.take(ctx)
		if err != nil {
			if !errors.Is(err, jetstream.ErrKeyExists) && ctx.Err() == nil {
				h.Note(err)
			}
			rest(ctx, h.For/5)
			continue
		}
		h.hold(ctx, seq, at, do)
	}
}

// hold renews the lease until it is lost or ctx is done.
func (h Holder) hold(ctx context.Context, seq uint64, at time.Time, do func(context.Context)) {
	held, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		do(held)
	}()
	for held.Err() == nil {
		rest(held, h.For/5)
		if held.Err() != nil {
			break
		}
		begun := time.Now()
		next, err := h.renew(held, seq)
		switch {
		case err == nil:
			seq, at = next, begun
		case lost(err), time.Since(at) > h.For*7/10: // before others may have it
			if ctx.Err() == nil {
				h.Note(fmt.Errorf("lease %s is lost: %w", h.Key, err))
			}
			end()
		}
	}
	end()
	<-done
	if ctx.Err() != nil {
		h.release(seq)
	}
}

// lost says that another edge has the lease, or that it has ended.
func lost(err error) bool {
	api := (*jetstream.APIError)(nil)
	return errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence
}

// take takes the lease, which no edge has. at is a time before that.
func (h Holder) take(ctx context.Context) (seq uint64, at time.Time, err error) {
	limited, cancel := context.WithTimeout(ctx, h.For/2)
	defer cancel()
	kv, err := h.JS.KeyValue(limited, Bucket)
	if err != nil {
		return 0, at, fmt.Errorf("cannot use the bucket %s: %w", Bucket, err)
	}
	at = time.Now()
	seq, err = kv.Create(limited, h.key(), []byte(h.Name), jetstream.KeyTTL(h.For))
	if err != nil {
		return 0, at, fmt.Errorf("cannot take the lease %s: %w", h.Key, err)
	}
	return seq, at, nil
}

// renew has the lease last for its whole time from now on.
func (h Holder) renew(ctx context.Context, seq uint64) (uint64, error) {
	limited, cancel := context.WithTimeout(ctx, h.For/5)
	defer cancel()
	m := &nats.Msg{Subject: "$KV." + Bucket + "." + h.key(), Data: []byte(h.Name)}
	ack, err := h.JS.PublishMsg(limited, m, jetstream.WithMsgTTL(h.For), jetstream.WithExpectLastSequencePerSubject(seq), jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// release gives the lease up, so that another edge need not wait for its end.
func (h Holder) release(seq uint64) {
	limited, cancel := context.WithTimeout(context.Background(), h.For/20)
	defer cancel()
	if kv, err := h.JS.KeyValue(limited, Bucket); err == nil {
		_ = kv.Delete(limited, h.key(), jetstream.LastRevision(seq)) // else it ends by itself
	}
}

// key is the lease as a key of the bucket, which has no room for each sign.
func (h Holder) key() string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '='
	}, h.Key)
}

// rest waits for a while, or until ctx is done.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
