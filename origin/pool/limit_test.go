package pool

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/origintest"
	"pkgedge/origin/sample/faults"
)

// An edge whose cache is empty does not send a master everything at once, and
// answers all the same.
func TestColdStartIsGentle(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs[:1])
	gate := faults.NewGate()
	w.A.Break(faults.Any, faults.Hold(gate))
	const misses = 5 * firstWidth
	begun := time.Now()
	done := make(chan error, misses)
	for i := range misses {
		go func() {
			_, err := b.get(t, fmt.Sprintf("/none-%d", i))
			done <- err
		}()
	}
	<-w.A.ArrivedTimes(firstWidth, faults.Any)
	b.awaitWaiting(t, misses-firstWidth)
	if n := w.A.Count(faults.Any); n != firstWidth {
		t.Errorf("%d requests at once; want %d", n, firstWidth)
	}
	// A request that has a stale answer is refused before any other waits in vain.
	err := b.Each(t.Context(), Request{Route: b.route(aPackument), Stale: true}, new(answer).use)
	if isUnavailable(t, err); !errors.Is(err, health.ErrBusy) {
		t.Errorf("a revalidation: %v; want %v", err, health.ErrBusy)
	}
	gate.Step(firstWidth)
	<-w.A.ArrivedTimes(3*firstWidth, faults.Any)
	b.await(t, func(m health.MasterStatus) int { return w.A.Count(faults.Any) + m.Waiting }, misses)
	// A master that is in use widens with time too: all of its places within ten seconds.
	const places = 64
	widened := int(places * time.Since(begun) / (10 * time.Second))
	if n := w.A.Count(faults.Any); n > 3*firstWidth+widened {
		t.Errorf("%d requests after the first %d answers; want twice as many at a time", n, firstWidth)
	}
	gate.Open()
	for range misses {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Requests that wait for a place at a master that goes out are answered by another
// one at once, and that is no second try.
func TestQueueMovesOn(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	gate := faults.NewGate()
	w.A.Break(faults.Any, faults.Hold(gate))
	defer gate.Open()
	b.occupy(t, b.Primary(), health.ForMetadata, firstWidth)
	b.retries.saved, b.retries.perSecond, b.retries.share = 0, 0, 0
	other := b.Masters()[1]
	b.widen(t, other)
	b.occupy(t, other, health.ForMetadata, 2*firstWidth) // so that it is asked second
	done := make(chan error, 1)
	go func() {
		_, err := b.get(t, aPackument)
		done <- err
	}()
	b.awaitWaiting(t, 1)
	for range inARow {
		b.Failed(b.Primary(), unanswered)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	origintest.Equal(t, "reports", b.reported(), []string{"A busy", "B 200"})
}

// Where there is no other they are told so.
func TestQueueEndsInAnOutage(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newProbed(t, w.URLs[:1])
	b.fill(t, b.Primary(), health.ForMetadata)
	done := make(chan error, 1)
	go func() {
		_, err := b.get(t, aPackument)
		done <- err
	}()
	b.awaitWaiting(t, 1)
	w.A.Break(faults.Path(ping), faults.Status(503))
	if err := <-done; !errors.Is(err, ErrOutage) {
		t.Errorf("err = %v; want %v", err, ErrOutage)
	}
}

func TestStaleAnswersLeaveRoomForMisses(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs[:1])
	m := b.Primary()
	b.fill(t, m, health.ForMetadata)
	route := b.route(aPackument)
	err := b.Each(t.Context(), Request{Route: route, Stale: true}, new(answer).use)
	if isUnavailable(t, err); !errors.Is(err, health.ErrBusy) {
		t.Errorf("err = %v; want %v", err, health.ErrBusy)
	}
	if n := w.A.Count(faults.Any); n != 0 {
		t.Errorf("the master was asked %d times", n)
	}
	// Files have room of their own.
	if r, err := b.get(t, aTarball); err != nil || r.status != http.StatusOK {
		t.Errorf("a file: %d, %v", r.status, err)
	}
	done := make(chan error, 1)
	go func() { done <- b.Each(t.Context(), Request{Route: route}, new(answer).use) }()
	b.Release(m, health.ForMetadata)
	if err := <-done; err != nil {
		t.Errorf("a miss, once there is room: %v", err)
	}
}

// fill takes every place that a master has, once its limiter is as wide as it gets.
func (p *Pool) fill(t *testing.T, m *health.Master, c health.Class) {
	t.Helper()
	for p.Acquire(t.Context(), netip.Addr{}, m, c, 0) == nil {
		p.Began(m, c) // which widens it
	}
}

// widen opens the limiter of a master's metadata, and leaves it empty.
func (p *Pool) widen(t *testing.T, m *health.Master) {
	t.Helper()
	const places = 4 * firstWidth
	for range places {
		if err := p.Acquire(t.Context(), netip.Addr{}, m, health.ForMetadata, 0); err != nil {
			t.Fatal(err)
		}
		p.Began(m, health.ForMetadata)
	}
	for range places {
		p.Release(m, health.ForMetadata)
	}
}
