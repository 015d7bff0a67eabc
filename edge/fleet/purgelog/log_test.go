package purgelog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"pkgedge/cache/purge"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reader is an edge that writes down the orders of the log.
type reader struct {
	*Log
	dir  string
	stop func()

	mu    sync.Mutex
	names []string
	stale int
	fails error
}

// join has an edge of a name read the log, with the files in dir.
func join(t *testing.T, c *natstest.Cluster, name, dir string) *reader {
	t.Helper()
	r := &reader{dir: dir}
	var err error
	r.Log, err = Open(Config{
		Name: name, Dir: dir, Log: edgetest.QuietLog(), Tick: 50 * time.Millisecond,
		Apply: func(all []Entry) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.fails != nil {
				return r.fails
			}
			for _, e := range all {
				r.names = append(r.names, e.Name)
			}
			return nil
		},
		Stale: func(bool) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.stale++
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	nc, js := c.Connect()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx, js) })
	r.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		nc.Close()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func (r *reader) live(t *testing.T) *reader {
	t.Helper()
	edgetest.Until(t, "a live log", r.Live)
	return r
}

func (r *reader) has(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.names, name)
}

func (r *reader) resets() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stale
}

// start is a cluster of n servers with a log.
func start(t *testing.T, n int) (*natstest.Cluster, jetstream.JetStream) {
	t.Helper()
	c := natstest.Start(t, n)
	_, js := c.Connect()
	mustInit(t, js, n)
	return c, js
}

func mustInit(t *testing.T, js jetstream.JetStream, n int) string {
	t.Helper()
	id, made, err := Init(t.Context(), js, n)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	return id
}

func hard(name string) Entry {
	return Entry{Purge: purge.Purge{Scope: purge.Group, Site: "npm", Name: name}}
}

// publish publishes a purge and waits until the log has it, at the place that it returns.
func (r *reader) publish(t *testing.T, name string) (at place) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	log, seq, ok, err := r.Publish(ctx, hard(name))
	if err != nil || !ok {
		t.Fatalf("%s: acknowledged %t, %v", name, ok, err)
	}
	return place{Log: log, Seq: seq}
}

// at is the place of the edge.
func (r *reader) at() place {
	log, seq := r.Place()
	return place{Log: log, Seq: seq}
}

func (r *reader) await(t *testing.T, at place) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.Await(ctx, at.Log, at.Seq); err != nil {
		t.Fatal(err)
	}
}

func TestAPurgeIsInForceElsewhereAndNotAppliedTwice(t *testing.T) {
	c, js := start(t, 1)
	a, b := join(t, c, "a", t.TempDir()).live(t), join(t, c, "b", t.TempDir()).live(t)
	b.await(t, a.publish(t, "left-pad"))
	a.await(t, b.publish(t, "right-pad"))
	if !b.has("left-pad") || !a.has("right-pad") || a.has("left-pad") || b.has("right-pad") {
		t.Errorf("a has %q, b has %q", a.names, b.names)
	}
	if a.resets() != 1 || b.resets() != 1 { // each had no place
		t.Errorf("everything in doubt: %d, %d", a.resets(), b.resets())
	}
	if id, made, err := Init(t.Context(), js, 1); err != nil || made || id != a.Status().ID {
		t.Errorf("a second init: %q %t %v", id, made, err)
	}
	if s := a.Status(); !s.Live || s.Outbox != 0 || s.Published != 1 || s.Applied != 1 {
		t.Errorf("%+v", s)
	}
}

// An edge that was off reads the newest purge of each target, and is not put in doubt.
func TestAnEdgeThatWasOffCatchesUp(t *testing.T) {
	c, _ := start(t, 1)
	a, b := join(t, c, "a", t.TempDir()).live(t), join(t, c, "b", t.TempDir()).live(t)
	b.await(t, a.publish(t, "before"))
	b.stop()
	for range 3 {
		a.publish(t, "twice")
	}
	seq := a.publish(t, "last")
	b2 := join(t, c, "b", b.dir).live(t)
	b2.await(t, seq)
	if b2.has("before") || !b2.has("twice") || !b2.has("last") || b2.resets() != 0 || len(b2.names) != 2 {
		t.Errorf("%q, in doubt %d times", b2.names, b2.resets())
	}
}

// While there is no engine a purge waits on disk, over a restart, too.
func TestWithoutTheEngineAPurgeWaits(t *testing.T) {
	c, _ := start(t, 1)
	a, b := join(t, c, "a", t.TempDir()).live(t), join(t, c, "b", t.TempDir()).live(t)
	c.Kill(0)
	edgetest.Until(t, "a log that is not live", func() bool { return !a.Live() && !b.Live() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, ok, err := a.Publish(ctx, hard("x")); ok || err != nil {
		t.Fatalf("acknowledged %t, %v", ok, err)
	}
	if s := a.Status(); s.Live || s.Outbox != 1 || s.Why == "" {
		t.Errorf("%+v", s)
	}
	a.stop()
	if err := a.Announce(hard("y")); err == nil {
		t.Error("a closed log takes purges")
	}
	a2 := join(t, c, "a", a.dir) // its connection fails until the server is there
	if a2.Status().Outbox != 1 {
		t.Errorf("%+v", a2.Status())
	}
	c.Restart(0)
	edgetest.Until(t, "the purge elsewhere", func() bool { return b.has("x") })
	a2.live(t)
	edgetest.Until(t, "an empty outbox", func() bool { return a2.Status().Outbox == 0 })
	if a2.resets()+b.resets() != 1 { // b's first
		t.Errorf("in doubt: %d, %d", a2.resets(), b.resets())
	}
}

// A log that is deleted is not live, and another one has everything put in doubt once. The
// purges of the edges come into it.
func TestALogThatIsMadeAnew(t *testing.T) {
	c, js := start(t, 1)
	a, b := join(t, c, "a", t.TempDir()).live(t), join(t, c, "b", t.TempDir()).live(t)
	b.await(t, a.publish(t, "x"))
	if err := js.DeleteStream(t.Context(), Stream); err != nil {
		t.Fatal(err)
	}
	edgetest.Until(t, "a log that is not live", func() bool { return !a.Live() && !b.Live() })
	if a.resets() != 1 || b.resets() != 1 {
		t.Errorf("in doubt: %d, %d", a.resets(), b.resets())
	}
	id := mustInit(t, js, 1)
	edgetest.Until(t, "the new log", func() bool { return a.Live() && b.Live() && a.Status().ID == id && b.Status().ID == id })
	b.await(t, a.publish(t, "y"))
	if a.resets() != 2 || b.resets() != 2 {
		t.Errorf("in doubt: %d, %d", a.resets(), b.resets())
	}
	edgetest.Until(t, "the old purge in the new log", func() bool {
		s, err := js.Stream(t.Context(), Stream)
		if err != nil {
			return false
		}
		_, err = s.GetLastMsgForSubject(t.Context(), hard("x").subject())
		return !errors.Is(err, jetstream.ErrMsgNotFound)
	})
}

// A log that is deleted and made anew within a moment was never seen not to be live. It is put right
// all the same. A purge is not said to be in force at an edge whose place is one in the old log.
func TestALogThatIsMadeAnewAtOnce(t *testing.T) {
	c, js := start(t, 1)
	a, b := join(t, c, "a", t.TempDir()).live(t), join(t, c, "b", t.TempDir()).live(t)
	for range 9 {
		b.await(t, a.publish(t, "x"))
	}
	b.stop() // its place stays
	old := b.at()
	if err := js.DeleteStream(t.Context(), Stream); err != nil {
		t.Fatal(err)
	}
	id := mustInit(t, js, 1)
	at := a.publish(t, "y")
	if at.Log != id || old.Log == id || at.Seq > old.Seq {
		t.Fatalf("published at %+v, in the new log %s; b is at %+v", at, id, old)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if b.Await(over, at.Log, at.Seq) == nil {
		t.Errorf("b, at %+v, is said to have %+v", old, at)
	}
	edgetest.Until(t, "the old purge in the new log", func() bool {
		s, err := js.Stream(t.Context(), Stream)
		if err != nil {
			return false
		}
		_, err = s.GetLastMsgForSubject(t.Context(), hard("x").subject())
		return err == nil
	})
	if a.resets() != 2 { // its first, and this one
		t.Errorf("in doubt %d times", a.resets())
	}
}

// The place of an edge is as old as its last live moment: one that was cut off for days and is
// started again does not look as if it had read the log meanwhile.
func TestAPlaceIsAsOldAsTheLogWasLive(t *testing.T) {
	c := natstest.Start(t, 1)
	dir := t.TempDir()
	old := place{Log: "x", Seq: 1, At: time.Now().Add(-3 * changeKept).UTC().Truncate(time.Second)}
	if err := old.save(dir); err != nil {
		t.Fatal(err)
	}
	a := join(t, c, "a", dir)
	edgetest.Until(t, "a look at the stream, which is not there", func() bool { return strings.Contains(a.Status().Why, "stream") })
	if !a.Heard().Equal(old.At) {
		t.Errorf("heard at %s", a.Heard())
	}
	a.stop()
	if p, err := loadPlace(dir); err != nil || p != old {
		t.Errorf("%+v, %v", p, err)
	}
	_, js := c.Connect()
	recent := place{Log: mustInit(t, js, 1), At: time.Now().Add(-changeKept / 4)}
	if err := recent.save(dir); err != nil {
		t.Fatal(err)
	}
	b := join(t, c, "a", dir).live(t)
	if since := time.Since(b.Heard()); since > time.Hour {
		t.Errorf("not heard for %s", since)
	}
	b.stop()
	if p, err := loadPlace(dir); err != nil || time.Since(p.At) > time.Hour {
		t.Errorf("%+v, %v", p, err)
	}
}

// An edge that was off for longer than the log keeps changes puts all metadata in doubt.
func TestAnEdgeThatWasOffForDays(t *testing.T) {
	c, _ := start(t, 1)
	a := join(t, c, "a", t.TempDir()).live(t)
	at := a.publish(t, "x")
	dir := t.TempDir()
	at.At = time.Now().Add(-changeKept)
	if err := at.save(dir); err != nil {
		t.Fatal(err)
	}
	if b := join(t, c, "b", dir).live(t); b.resets() != 1 || b.Status().Resets != 0 {
		t.Errorf("in doubt %d times, %d of them everything", b.resets(), b.Status().Resets)
	}
}

// A name that the log cannot have is told as its site, and holds up nothing.
func TestANameThatTheLogCannotHave(t *testing.T) {
	c, _ := start(t, 1)
	a, b := join(t, c, "a", t.TempDir()).live(t), join(t, c, "b", t.TempDir()).live(t)
	for _, name := range []string{strings.Repeat("x", 16<<10), strings.Repeat("&", 16<<10), "\xff"} {
		e := hard(name)
		e.Scope = purge.Key
		if err := a.Announce(e); err != nil {
			t.Fatal(err)
		}
	}
	b.await(t, a.publish(t, "last"))
	for _, name := range []string{"", "last", strings.Repeat("x", 16<<10)} {
		if !b.has(name) {
			t.Errorf("%.9q is missing", name)
		}
	}
}

// A log that has gone back is noticed by the place of a tick, and by its end.
func TestALogThatHasLostMessages(t *testing.T) {
	c, _ := start(t, 1)
	dir := t.TempDir()
	a := join(t, c, "a", dir).live(t)
	a.publish(t, "x")
	a.setPlace(place{Log: a.at().Log, Seq: a.at().Seq + 1<<40, At: time.Now()}) // as if it had read more
	edgetest.Until(t, "doubt", func() bool { return a.resets() == 2 })
	a.live(t)
	a.stop()
	p, err := loadPlace(dir)
	if err != nil || p.Seq == 0 {
		t.Fatal(p, err)
	}
	p.Seq += 1 << 40
	if err := p.save(dir); err != nil {
		t.Fatal(err)
	}
	b := join(t, c, "a", dir).live(t)
	if b.resets() != 1 || b.at().Seq >= 1<<40 {
		t.Errorf("in doubt %d times, place %d", b.resets(), b.at().Seq)
	}
	b.publish(t, "y")
	if b.resets() != 1 {
		t.Errorf("in doubt %d times", b.resets())
	}
}

// A log that has gone back is read from its beginning, and the purges that had been read are not
// put in force once more: one of everything would empty all caches.
func TestALogThatHasGoneBackRepeatsNoOldPurge(t *testing.T) {
	c, _ := start(t, 1)
	dir := t.TempDir()
	a, b := join(t, c, "a", t.TempDir()).live(t), join(t, c, "b", dir).live(t)
	at := a.publish(t, "old")
	b.await(t, at)
	b.stop()
	was, err := loadPlace(dir)
	if err != nil || time.Since(was.Stamp) > skew/2 {
		t.Fatal(was, err)
	}
	was.Seq += 1 << 40 // beyond the end of the log
	for readOn, again := range map[time.Duration]bool{2 * skew: false, 0: true} {
		p := was
		p.Stamp = p.Stamp.Add(readOn)
		if err := p.save(dir); err != nil {
			t.Fatal(err)
		}
		b := join(t, c, "b", dir)
		b.await(t, at)
		if b.live(t).has("old") != again || b.resets() != 1 {
			t.Errorf("a log that was read for %s after a purge: %q, in doubt %d times", readOn, b.names, b.resets())
		}
		b.stop()
	}
}

// A purge that cannot be put in force is read again, and the log is not live before.
func TestThePlaceComesBehindTheJournal(t *testing.T) {
	c, _ := start(t, 1)
	a, b := join(t, c, "a", t.TempDir()).live(t), join(t, c, "b", t.TempDir()).live(t)
	b.mu.Lock()
	b.fails = errors.New("the disk is full")
	b.mu.Unlock()
	seq := a.publish(t, "x")
	edgetest.Until(t, "a log that is not live", func() bool { return !b.Live() })
	if b.at().Seq >= seq.Seq {
		t.Errorf("place %+v of %+v", b.at(), seq)
	}
	b.mu.Lock()
	b.fails = nil
	b.mu.Unlock()
	b.await(t, seq)
	if !b.live(t).has("x") {
		t.Error("the purge is missing")
	}
}

// The death of the leader of three replicas is over in a moment, and quorum lost is not live.
func TestThreeReplicas(t *testing.T) {
	t.Parallel()
	c, _ := start(t, 3)
	a, b := join(t, c, "a", t.TempDir()).live(t), join(t, c, "b", t.TempDir()).live(t)
	leader := c.Leader(Stream)
	c.Kill(leader)
	b.await(t, a.publish(t, "x"))
	if !b.has("x") {
		t.Error("the purge is missing")
	}
	other := (leader + 1) % 3
	c.Kill(other)
	edgetest.Until(t, "a log without a quorum", func() bool { return !a.Live() && !b.Live() })
	if err := a.Announce(hard("y")); err != nil {
		t.Fatal(err)
	}
	c.Restart(other)
	c.Restart(leader)
	edgetest.Until(t, "the purge elsewhere", func() bool { return b.has("y") })
	a.live(t)
	b.live(t)
	if a.resets() != 1 || b.resets() != 1 {
		t.Errorf("in doubt: %d, %d", a.resets(), b.resets())
	}
}
