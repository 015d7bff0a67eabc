package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"pkgedge/origin/sample/faults"
)

// An edge whose cache is empty does not send a master everything at once, and
// answers all the same.
func TestColdStartIsGentle(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs[:1])
	gate := faults.NewGate()
	w.a.Break(faults.Any, faults.Hold(gate))
	const misses = 5 * firstRoom
	done := make(chan error, misses)
	for i := range misses {
		go func() {
			_, err := b.get(t, fmt.Sprintf("/none-%d", i))
			done <- err
		}()
	}
	<-w.a.ArrivedTimes(firstRoom, faults.Any)
	b.awaitWaiting(t, misses-firstRoom)
	if n := w.a.Count(faults.Any); n != firstRoom {
		t.Errorf("%d requests at once; want %d", n, firstRoom)
	}
	// Who has a stale answer is sent home before anybody else waits for nothing.
	err := b.Fetch(t.Context(), Ask{Route: b.route(aPackument), Stale: true}, &recorder{})
	if isUnavailable(t, err); !errors.Is(err, errBusy) {
		t.Errorf("a revalidation: %v; want %v", err, errBusy)
	}
	gate.Step(firstRoom)
	<-w.a.ArrivedTimes(3*firstRoom, faults.Any)
	b.awaitWaiting(t, misses-3*firstRoom)
	if n := w.a.Count(faults.Any); n != 3*firstRoom {
		t.Errorf("%d requests after the first %d answers; want twice as many at a time", n, firstRoom)
	}
	gate.Open()
	for range misses {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// awaitWaiting waits until so many wait for room.
func (b *behind) awaitWaiting(t *testing.T, n int) {
	t.Helper()
	late := time.Now().Add(time.Minute)
	for {
		got := 0
		for _, m := range b.Status()[0].Masters {
			got += m.Waiting
		}
		if got == n {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("%d wait; want %d", got, n)
		}
		runtime.Gosched()
	}
}

// Those who wait for room at a master that goes out are answered by another one
// at once, and that is no second try.
func TestQueueMovesOn(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	gate := faults.NewGate()
	w.a.Break(faults.Any, faults.Hold(gate))
	defer gate.Open()
	for range firstRoom {
		if err := b.pool.enterRoom(t.Context(), b.pool.primary(), forMetadata, false); err != nil {
			t.Fatal(err)
		}
	}
	b.pool.retries.saved, b.pool.retries.perSecond, b.pool.retries.share = 0, 0, 0
	other := b.pool.masters[1]
	other.open()
	other.rooms[forMetadata].busy = 3 * firstRoom // so that it is asked second
	done := make(chan error, 1)
	go func() {
		_, err := b.get(t, aPackument)
		done <- err
	}()
	b.awaitWaiting(t, 1)
	for range inARow {
		b.pool.failed(b.pool.primary(), unanswered)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	equal(t, "reports", b.reported(), []string{"A busy", "B 200"})
	// And where there is no other, they are told so.
	other.rooms[forMetadata].busy = room[forMetadata]
	go func() {
		_, err := b.get(t, aPackument)
		done <- err
	}()
	b.awaitWaiting(t, 1)
	for range inARow {
		b.pool.failed(other, unanswered)
	}
	if err := <-done; !errors.Is(err, ErrOutage) {
		t.Errorf("err = %v; want %v", err, ErrOutage)
	}
}

// open makes the master's bulkheads as wide as they get.
func (m *master) open() {
	for c := range m.rooms {
		m.rooms[c].open, m.rooms[c].used = room[c], time.Now()
	}
}

func TestStaleAnswersLeaveRoomForMisses(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs[:1], listedBy(func(bool) ([]byte, error) { return nil, errors.New("no list") }))
	m := b.pool.primary()
	m.open()
	for range room[forMetadata] {
		if err := b.pool.enterRoom(t.Context(), m, forMetadata, false); err != nil {
			t.Fatal(err)
		}
	}
	route := b.route(aPackument)
	err := b.Fetch(t.Context(), Ask{Route: route, Stale: true}, &recorder{})
	if isUnavailable(t, err); !errors.Is(err, errBusy) {
		t.Errorf("err = %v; want %v", err, errBusy)
	}
	if n := w.a.Count(faults.Any); n != 0 {
		t.Errorf("the master was asked %d times", n)
	}
	// Files have room of their own.
	if r, err := b.get(t, aTarball); err != nil || r.status != http.StatusOK {
		t.Errorf("a file: %d, %v", r.status, err)
	}
	done := make(chan error, 1)
	go func() { done <- b.Fetch(t.Context(), Ask{Route: route}, &recorder{}) }()
	b.pool.leaveRoom(m, forMetadata)
	if err := <-done; err != nil {
		t.Errorf("a miss, once there is room: %v", err)
	}
}

func TestPassGivesItsPlaceBack(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	w.b.Break(faults.Any, faults.Drop())
	for range 3 {
		if _, _, err := b.send(t, "GET", "/-/whoami", ""); err != nil {
			t.Fatal(err)
		}
	}
	w.a.Break(faults.Any, faults.Drop())
	for range 3 {
		if _, _, err := b.send(t, "GET", "/-/v1/search?text=x", ""); err == nil {
			t.Fatal("an answer came")
		}
	}
	for _, m := range b.Status()[0].Masters {
		if m.InFlight != 0 || m.Waiting != 0 {
			t.Errorf("%d places are taken at %s", m.InFlight, m.URL)
		}
	}
}

// Whatever masters do and whenever clients leave, every place at a master is
// given back, and nothing goes on (goleak looks, in TestMain).
func TestNoPlaceIsLost(t *testing.T) {
	short := patient
	short.FirstByte, short.Idle = 50*time.Millisecond, 50*time.Millisecond
	w := newTwo(t)
	w.withLarge(t)
	b := newBehind(t, w.bothURLs, waits(short))
	b.usual()
	b.patience = time.Millisecond
	wrongs := []faults.Fault{
		faults.Status(503), faults.Drop(), faults.Hang(), faults.HangAfter(10), faults.CutAfter(10), faults.NotModified(), faults.HTML(), faults.FlipByte(-1), faults.CutAfter(2 * smallFile),
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		for _, m := range []*faults.Master{w.a, w.b} {
			m.BreakNext(2, faults.Any, wrongs[random.IntN(len(wrongs))])
		}
	}
	var all sync.WaitGroup
	for i := range 120 {
		path := []string{aPackument, aTarball, largeTarball, search}[i%4]
		leaves := random.IntN(3) == 0
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if leaves {
				go cancel()
			}
			if path != search {
				b.Fetch(ctx, Ask{Route: b.route(path), Stale: i%3 == 0}, &recorder{})
				return
			}
			if resp, err := b.open(t, "GET", path, nil, ctx); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	all.Wait()
	busy := func() (n int) {
		for _, m := range b.Status()[0].Masters {
			n += m.InFlight + m.Waiting
		}
		return n
	}
	for late := time.Now().Add(time.Minute); busy() > 0; runtime.Gosched() { // of digests that nobody waits for any more
		if time.Now().After(late) {
			t.Fatalf("%d places are taken: %+v", busy(), b.Status())
		}
	}
}
