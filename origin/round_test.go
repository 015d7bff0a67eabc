package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/sample"
)

// usual makes the p95 of metadata known, and short.
func (b *behind) usual() {
	for range enoughWaits {
		b.pool.waits[forMetadata].add(time.Now(), time.Millisecond)
	}
}

func TestSlowMetadataIsAskedOfAnotherMasterToo(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	b.usual()
	w.a.Break(sample.Any, sample.Hang())
	r, err := b.get(t, aPackument)
	if err != nil || r.status != http.StatusOK {
		t.Fatalf("%d, %v", r.status, err)
	}
	b.pool.asking.Wait()
	equal(t, "reports", b.reported(), []string{"B 200", "A outrun"})
	if st := b.Status()[0]; st.Hedged != 1 || st.Retried != 0 {
		t.Errorf("%d hedged, %d retried; want 1 and 0", st.Hedged, st.Retried)
	}
	// That is held against it, as any other failure.
	if row := b.pool.primary().row; row != 1 {
		t.Errorf("%d failures in a row", row)
	}
}

// A file that a master has just begun to hang on is asked of another one long
// before the first is given up; and of nobody else when it answers.
func TestSlowFileIsAskedOfAnotherMasterToo(t *testing.T) {
	t.Parallel() // it takes leastFileHedge
	w := newTwo(t)
	large := w.withLarge(t)
	b := newBehind(t, w.bothURLs)
	if _, err := b.get(t, aTarball); err != nil || w.b.Count(sample.Any) != 0 {
		t.Fatalf("%v; the second master was asked %d times while the first was well", err, w.b.Count(sample.Any))
	}
	w.a.Break(sample.Suffix(".tgz"), sample.Hang())
	r, err := b.get(t, largeTarball)
	if err != nil || r.responds != 1 {
		t.Fatalf("%d responses, %v", r.responds, err)
	}
	same(t, "tarball", r.body, large)
	b.pool.asking.Wait()
	if got := b.reported(); !slices.Contains(got, "A outrun") || slices.Contains(got, "A timeout") || w.b.Count(sample.Path(largeTarball)) != 1 {
		t.Errorf("reports %q", got)
	}
	if st := b.Status()[0]; st.Hedged != 1 || st.Retried != 0 || st.Masters[0].InFlight != 0 {
		t.Errorf("%+v", st)
	}
}

// Nobody who is out is asked before somebody has failed.
func TestHedgeAsksWhoIsExpectedToAnswer(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	w.a.Break(sample.Any, sample.Hang())
	b.pool.hedges.saved = 5
	r := newRound(t.Context(), b.pool, Ask{Route: b.route(aPackument)}, b.pool.masters, 1)
	r.ask()
	<-w.a.Arrived(sample.Any)
	r.hedge()
	if r.end(); r.asked != 1 {
		t.Errorf("%d masters were asked", r.asked)
	}
}

// An edge whose cache is empty does not send a master everything at once, and
// answers all the same.
func TestColdStartIsGentle(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs[:1])
	gate := sample.NewGate()
	w.a.Break(sample.Any, sample.Hold(gate))
	const misses = 5 * firstRoom
	done := make(chan error, misses)
	for i := range misses {
		go func() {
			_, err := b.get(t, fmt.Sprintf("/none-%d", i))
			done <- err
		}()
	}
	<-w.a.ArrivedTimes(firstRoom, sample.Any)
	b.awaitWaiting(t, misses-firstRoom)
	if n := w.a.Count(sample.Any); n != firstRoom {
		t.Errorf("%d requests at once; want %d", n, firstRoom)
	}
	// Who has a stale answer is sent home before anybody else waits for nothing.
	err := b.Fetch(t.Context(), Ask{Route: b.route(aPackument), Stale: true}, &recorder{})
	if isUnavailable(t, err); !errors.Is(err, errBusy) {
		t.Errorf("a revalidation: %v; want %v", err, errBusy)
	}
	gate.Step(firstRoom)
	<-w.a.ArrivedTimes(3*firstRoom, sample.Any)
	b.awaitWaiting(t, misses-3*firstRoom)
	if n := w.a.Count(sample.Any); n != 3*firstRoom {
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
	gate := sample.NewGate()
	w.a.Break(sample.Any, sample.Hold(gate))
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

// A master that answers only after many redirects is given up like one that does
// not answer.
func TestRedirectsDoNotAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("p", func(c *Config) { c.Timeouts = Timeouts{2 * time.Second, 10 * time.Second, 20 * time.Second} })
		m := p.primary()
		m.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(9 * time.Second):
				return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"/next"}}, Body: http.NoBody, Request: r}, nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		begun := time.Now()
		r := p.send(t.Context(), m, Ask{Route: kind.Route{Class: kind.Metadata, What: "packument", Path: "/x"}}, false)
		if took := time.Since(begun); took != 14*time.Second || reason(r.err) != "timeout" {
			t.Errorf("%v after %s; want a timeout after 14s", r.err, took)
		}
		r.close()
		if got := p.state("a"); got.InFlight != 0 || got.State != "suspect" {
			t.Errorf("%+v", got)
		}
		begun = time.Now()
		_, _, err := (&Site{pool: p}).peek(t.Context(), m, Ask{}, "/list.sig")
		if took := time.Since(begun); took != 14*time.Second || reason(err) != "timeout" {
			t.Errorf("what is beside it: %v after %s", err, took)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAHedgeThatFailsLeavesTheFirst(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	b.usual()
	gate := sample.NewGate()
	w.a.Break(sample.Any, sample.Hold(gate))
	w.b.Break(sample.Any, sample.Status(503))
	done := make(chan error, 1)
	go func() {
		_, err := b.get(t, aPackument)
		done <- err
	}()
	<-w.b.Arrived(sample.Any)
	gate.Step(1)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := w.a.Count(sample.Any); n != 1 {
		t.Errorf("the first was asked %d times", n)
	}
}

func TestHedgeWaits(t *testing.T) {
	packument := kind.Route{Class: kind.Metadata, What: "packument"}
	tarball := kind.Route{Class: kind.File, What: "tarball"}
	for _, tt := range []struct {
		name   string
		ask    Ask
		usable int
		waits  []time.Duration
		way    stance
		want   time.Duration
	}{
		{"as long as 95 of 100 take", Ask{Route: packument}, 2, slices.Repeat([]time.Duration{time.Second}, enoughWaits), free, time.Second},
		{"not so short that nobody feels it", Ask{Route: packument}, 2, slices.Repeat([]time.Duration{1}, enoughWaits), free, leastHedge},
		{"half the time there is, with few samples", Ask{Route: packument}, 2, slices.Repeat([]time.Duration{1}, enoughWaits-1), free, 5 * time.Second},
		{"for ever, for what the primary must answer", Ask{Route: packument}, 2, nil, first, never},
		{"as long as it may, for what can be compared", Ask{Route: packument}, 2, nil, compared, 5 * time.Second},
		{"as long as it may, for a trial of another master", Ask{Route: packument}, 2, nil, tried, 5 * time.Second},
		{"for ever, with nobody else", Ask{Route: packument}, 1, nil, free, never},
		{"a second, for a file", Ask{Route: tarball}, 2, nil, free, time.Second},
		{"as long as 99 of 100 files take", Ask{Route: tarball}, 2, append(slices.Repeat([]time.Duration{1}, 2), slices.Repeat([]time.Duration{2 * time.Second}, 126)...), free, 2 * time.Second},
		{"for ever, for a file with nobody else", Ask{Route: tarball}, 1, nil, free, never},
		{"for ever, for a plain file", Ask{Route: kind.Route{Class: kind.File, What: "file"}}, 2, nil, free, never},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := poolOf("pr", func(c *Config) { c.Timeouts.FirstByte = 10 * time.Second })
			for _, d := range tt.waits {
				p.waits[classOf(tt.ask.Route)].add(time.Now(), d)
			}
			if got := p.hedgeAfter(&tt.ask, tt.usable, tt.way); got != tt.want {
				t.Errorf("waits %v; want %v", got, tt.want)
			}
		})
	}
}

func TestHedgesHaveABudget(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	gate := sample.NewGate()
	w.a.Break(sample.Any, sample.Hold(gate))
	b.pool.hedges.saved = 2
	hedged := 0
	for range 5 {
		r := newRound(t.Context(), b.pool, Ask{Route: b.route(aPackument)}, b.pool.masters, len(b.pool.masters))
		r.ask()
		<-w.a.Arrived(sample.Any)
		r.hedge()
		hedged += r.asked - 1
		r.end()
	}
	b.pool.asking.Wait()
	if hedged != 2 {
		t.Errorf("%d hedges, want the 2 that were saved up", hedged)
	}
}

// When masters fail, they are not asked twice as much.
func TestRetriesHaveABudget(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	b.pool.retries.perSecond = 0
	w.a.Break(sample.Any, sample.Status(503))
	w.b.Break(sample.Any, sample.Status(503))
	const requests = 100
	for i := range requests {
		_, err := b.get(t, fmt.Sprintf("/edge-sample-%d", i))
		isUnavailable(t, err)
	}
	most := requests + int(b.pool.retries.most) + requests/10
	if n := w.a.Count(sample.Any) + w.b.Count(sample.Any); n > most || n <= requests {
		t.Errorf("%d requests at the masters for %d; want at most %d", n, requests, most)
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
	if n := w.a.Count(sample.Any); n != 0 {
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

func TestHangingMasterIsLeftAlone(t *testing.T) {
	short := patient
	short.FirstByte = 250 * time.Millisecond
	w := newTwo(t)
	b := newBehind(t, w.bothURLs, waits(short))
	w.a.Break(sample.Any, sample.Hang())
	for range 2 * inARow {
		if _, err := b.get(t, aTarball); err != nil {
			t.Fatal(err)
		}
	}
	b.pool.asking.Wait()
	if n := w.a.Count(sample.Suffix(".tgz")); n != 1 {
		t.Errorf("it was asked %d times while another was well; want 1", n)
	}
}

// Tarballs come from masters of their own, and trouble there is theirs alone.
func TestFilesHaveMastersOfTheirOwn(t *testing.T) {
	w := newTwo(t)
	w.a.Break(sample.Suffix(".tgz"), sample.Status(500))
	w.b.Break(sample.Path(aPackument), sample.Status(500))
	b := newBehind(t, w.bothURLs[:1], filesFrom(t, w.bothURLs[1]))
	for _, path := range []string{aPackument, aTarball} {
		if r, err := b.get(t, path); err != nil || r.status != http.StatusOK {
			t.Errorf("%s: %d, %v", path, r.status, err)
		}
	}
	w.bS.Refuse()
	for range inARow {
		if _, err := b.get(t, aTarball); err == nil {
			t.Fatal("a file came from nowhere")
		}
	}
	if _, err := b.get(t, aTarball); !errors.Is(err, ErrOutage) {
		t.Errorf("err = %v; want %v", err, ErrOutage)
	}
	if r, err := b.get(t, aPackument); err != nil || r.status != http.StatusOK {
		t.Errorf("metadata in an outage of files: %d, %v", r.status, err)
	}
	now := time.Now().Add(time.Second)
	if b.Outage(kind.File, now) == 0 || b.Outage(kind.Metadata, now) != 0 {
		t.Error("the outage is not that of the files alone")
	}
	st := b.Status()
	if len(st) != 2 || st[1].Name != "files" || st[1].Masters[0].N != 1 || st[1].Masters[0].State != "out" || st[0].Masters[0].State != "healthy" {
		t.Errorf("%+v", st)
	}
}

func filesFrom(t *testing.T, urls ...string) option {
	return func(c *Config) {
		for i, u := range upstreamsOf(t, urls) {
			u.Primary = i == 0
			c.Files = append(c.Files, u)
		}
	}
}

func TestSpareServesWhenTheOthersFail(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs, func(c *Config) { c.Masters[1].Spare = true })
	for range 3 {
		if _, err := b.get(t, aPackument); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.b.Count(sample.Any); n != 0 {
		t.Errorf("the spare was asked %d times while the primary was well", n)
	}
	w.aS.Refuse()
	for range 2 * inARow {
		if r, err := b.get(t, aPackument); err != nil || r.status != http.StatusOK {
			t.Fatalf("%d, %v", r.status, err)
		}
	}
	if got := slices.Compact(b.reported()); !slices.Equal(got, []string{"A 200", "A refused", "B 200"}) {
		t.Errorf("reports %q", got)
	}
}

func TestDrainedPrimaryTakesNoWrites(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	gate := sample.NewGate()
	w.a.BreakNext(1, sample.Any, sample.Hold(gate))
	done := make(chan error, 1)
	go func() {
		_, err := b.get(t, aTarball)
		done <- err
	}()
	<-w.a.Arrived(sample.Suffix(".tgz"))
	if err := b.Drain("0", true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.send(t, "PUT", login, aLogin); !errors.Is(err, ErrDrained) {
		t.Errorf("a write: %v; want %v", err, ErrDrained)
	}
	if _, err := b.get(t, aPackument); err != nil {
		t.Errorf("a read: %v", err)
	}
	gate.Open()
	if err := <-done; err != nil {
		t.Errorf("what was under way: %v", err)
	}
	if err := b.Drain("0", false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.send(t, "PUT", login, aLogin); err != nil {
		t.Errorf("a write after that: %v", err)
	}
	if n := w.a.Count(sample.Method("PUT")); n != 1 {
		t.Errorf("the primary got %d writes", n)
	}
}

func TestPassGivesItsPlaceBack(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	w.b.Break(sample.Any, sample.Drop())
	for range 3 {
		if _, _, err := b.send(t, "GET", "/-/whoami", ""); err != nil {
			t.Fatal(err)
		}
	}
	w.a.Break(sample.Any, sample.Drop())
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

func TestPassInAnOutage(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	for _, m := range b.pool.masters {
		for range inARow {
			b.pool.failed(m, unanswered)
		}
	}
	if _, _, err := b.send(t, "GET", search, ""); !errors.Is(err, ErrOutage) {
		t.Errorf("a search: %v; want %v", err, ErrOutage)
	}
	// A write is its own probe.
	if _, _, err := b.send(t, "PUT", login, aLogin); err != nil {
		t.Errorf("a write: %v", err)
	}
	equal(t, "reports", b.reported(), []string{"A pass"})
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
	faults := []sample.Fault{
		sample.Status(503), sample.Drop(), sample.Hang(), sample.HangAfter(10), sample.CutAfter(10), sample.NotModified(), sample.HTML(), sample.FlipByte(-1), sample.CutAfter(2 * smallFile),
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		for _, m := range []*sample.Master{w.a, w.b} {
			m.BreakNext(2, sample.Any, faults[random.IntN(len(faults))])
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

// A request may end while another master is still being asked for it.
func TestRoundEndsWithItsClient(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	b.usual()
	w.a.Break(sample.Any, sample.Hang())
	w.b.Break(sample.Any, sample.Hang())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Fetch(ctx, Ask{Route: b.route(aPackument)}, &recorder{}) }()
	<-w.b.Arrived(sample.Any)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	b.pool.asking.Wait()
	for _, m := range b.Status()[0].Masters {
		if m.State != "healthy" || m.InFlight != 0 {
			t.Errorf("%+v", m)
		}
	}
}
