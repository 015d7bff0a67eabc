package presence

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet/figures"
	"pkgedge/edge/fleet/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place is a log that a test moves.
type place struct {
	mu    sync.Mutex
	seq   uint64
	moved chan struct{}
}

func (p *place) Live() bool { return true }

func (p *place) Place() (string, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return "x", p.seq
}

func (p *place) move(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq = seq
	close(p.moved)
	p.moved = make(chan struct{})
}

func (p *place) Await(ctx context.Context, log string, seq uint64) error {
	for {
		p.mu.Lock()
		at, moved := p.seq, p.moved
		p.mu.Unlock()
		if log == "x" && at >= seq {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func join(t *testing.T, c *natstest.Cluster, name string) (p *Presence, at *place, leave func()) {
	t.Helper()
	at = &place{moved: make(chan struct{})}
	p = New(Self{Name: name, Pop: "here", Address: func() string { return name + ":1" }, Log: at})
	nc, _ := c.Connect()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx, nc) })
	leave = sync.OnceFunc(func() { cancel(); running.Wait(); nc.Close() })
	t.Cleanup(leave)
	return p, at, leave
}

func names(all []figures.Edge) (names []string) {
	for _, m := range all {
		names = append(names, m.Name)
	}
	return names
}

func TestEdgesKnowHowFarTheOthersAre(t *testing.T) {
	c := natstest.Start(t, 1)
	a, _, _ := join(t, c, "a")
	_, at, _ := join(t, c, "b")
	_, late, leave := join(t, c, "c")
	edgetest.Until(t, "all edges", func() bool { return slices.Equal(names(a.Members()), []string{"a", "b", "c"}) })
	if m := a.Members()[1]; m.Pop != "here" || m.Address != "b:1" || !m.Live || m.Away {
		t.Errorf("%+v", m)
	}
	at.move(7)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if reached, missing := a.Reached(short, "x", 7); !slices.Equal(reached, []string{"b"}) || !slices.Equal(missing, []string{"c"}) {
		t.Errorf("reached %q, missing %q", reached, missing)
	}
	asked := make(chan []string, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), edgetest.Patience)
		defer cancel()
		reached, _ := a.Reached(ctx, "x", 8)
		asked <- reached
	}()
	at.move(8)
	late.move(9)
	if reached := edgetest.Receive(t, asked, "the answers"); !slices.Equal(reached, []string{"b", "c"}) {
		t.Errorf("reached %q", reached)
	}
	short, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if reached, missing := a.Reached(short, "another log", 1); len(reached) != 0 || !slices.Equal(missing, []string{"b", "c"}) {
		t.Errorf("in another log: reached %q, missing %q", reached, missing)
	}
	leave()
	edgetest.Until(t, "the end of c", func() bool { return slices.Equal(names(a.Members()), []string{"a", "b"}) })
}

// hasty is a log that moves each time that it is looked at.
type hasty struct{ seq atomic.Uint64 }

func (h *hasty) Live() bool                                  { return true }
func (h *hasty) Place() (string, uint64)                     { return "", h.seq.Add(1) }
func (h *hasty) Await(context.Context, string, uint64) error { return nil }

// An edge whose place moves while it answers answers again.
func TestAnAnswerThatIsOldAtOnce(t *testing.T) {
	c := natstest.Start(t, 1)
	nc, _ := c.Connect()
	p := New(Self{Name: "a", Address: func() string { return "" }, Log: new(hasty)})
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	p.answer(t.Context(), &nats.Msg{Reply: inbox, Data: []byte(`{"seq":2}`), Sub: sub})
	for range 2 {
		if _, err := sub.NextMsg(edgetest.Patience); err != nil {
			t.Fatal(err)
		}
	}
}

// A silent edge is away, and forgotten after an hour. Strangers' words are bounded.
func TestASilentEdgeIsAway(t *testing.T) {
	p := New(Self{Name: "a", Address: func() string { return "" }, Log: &place{}})
	now := time.Now()
	p.hear([]byte(`{"name":"b","live":true,"every":2000}`), now)
	p.hear([]byte(`{"name":"a"}`), now)
	p.hear([]byte(`not one`), now)
	for _, tt := range []struct {
		after time.Duration
		want  []figures.Edge
	}{
		{5 * time.Second, []figures.Edge{{Name: "b", Live: true}}},
		{7 * time.Second, []figures.Edge{{Name: "b", Away: true}}},
		{2 * time.Hour, []figures.Edge{}},
	} {
		got := p.others(now.Add(tt.after))
		for i := range got {
			got[i].Heard = time.Time{}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("after %s: %+v", tt.after, got)
		}
	}
	for i := range 2 * maxMembers {
		p.hear(fmt.Appendf(nil, `{"name":"e%d"}`, i), now)
	}
	if n := p.Count(); n > maxMembers+1 {
		t.Errorf("%d edges", n)
	}
	if every := p.every(); every != maxMembers*beatCost+beatCost {
		t.Errorf("every %s", every)
	}
}
