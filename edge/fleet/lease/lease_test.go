package lease

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// holder is an edge that wants a lease.
type holder struct {
	has  chan struct{} // gets a value each time that it has the lease
	lost chan struct{}
	stop func()
}

func want(t *testing.T, js jetstream.JetStream, name string, lasts time.Duration) *holder {
	t.Helper()
	h := &holder{has: make(chan struct{}, 16), lost: make(chan struct{}, 16)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		Holder{JS: js, Key: "feed.npm", Name: name, For: lasts, Note: func(error) {}}.Run(ctx, func(held context.Context) {
			h.has <- struct{}{}
			<-held.Done()
			h.lost <- struct{}{}
		})
	})
	h.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(h.stop)
	return h
}

// A lease goes to another edge at once where its holder ends in order, and by itself where that is
// cut off. It outlives its lifetime while it is renewed.
func TestALeaseIsHandedOver(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	first, js := c.Connect()
	if made, err := Init(t.Context(), js, 1); err != nil || !made {
		t.Fatal(made, err)
	}
	if made, err := Init(t.Context(), js, 1); err != nil || made {
		t.Fatal("a second time", made, err)
	}
	const lasts = 2 * time.Second // servers know whole seconds
	a := want(t, js, "a", lasts)
	edgetest.Receive(t, a.has, "the lease of a")
	_, jsb := c.Connect()
	b := want(t, jsb, "b", lasts)
	kv, err := js.KeyValue(t.Context(), Bucket)
	if err != nil {
		t.Fatal(err)
	}
	before, err := kv.Get(t.Context(), "feed.npm")
	if err != nil {
		t.Fatal(err)
	}
	edgetest.Until(t, "renewals for longer than the lease lasts", func() bool {
		now, err := kv.Get(t.Context(), "feed.npm")
		return err == nil && now.Created().Sub(before.Created()) > lasts && string(now.Value()) == "a"
	})
	a.stop()
	edgetest.Receive(t, b.has, "the lease of b")
	_, jsc := c.Connect()
	d := want(t, jsc, "c", lasts)
	jsb.Conn().Close() // without a word
	edgetest.Receive(t, b.lost, "the loss of b")
	edgetest.Receive(t, d.has, "the lease of c")
	first.Close()
}

// A key that was renewed ends by itself: nothing hangs on an edge that is gone.
func TestARenewedLeaseEnds(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	_, js := c.Connect()
	if _, err := Init(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	h := Holder{JS: js, Key: "x", Name: "a", For: time.Second}
	seq, _, err := h.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.take(t.Context()); !errors.Is(err, jetstream.ErrKeyExists) {
		t.Errorf("twice: %v", err)
	}
	if _, err := h.renew(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
	if _, err := h.renew(t.Context(), seq); !lost(err) {
		t.Errorf("renewed by the sequence of before: %v", err)
	}
	edgetest.Until(t, "its end", func() bool {
		_, _, err := h.take(t.Context())
		return err == nil
	})
}
