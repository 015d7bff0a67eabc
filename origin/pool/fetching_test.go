// Tests of a pool together with the fetcher that uses it.

package pool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pkgedge/origin/fetch"
	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/npm"
	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/transport"
)

const (
	aPackument = "/edge-sample-words"
	aTarball   = "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
	search     = "/-/v1/search?text=edge-sample"
	smallFile  = 1 << 20

	threeVersions = `{"name":"edge-sample-words","_rev":"1-x","time":{"modified":"2034-01-01T00:00:00Z"},"versions":{"1.0.0":{},"1.1.0":{},"2.0.0-beta.1":{}}}`
)

// site is a pool with a fetcher, and its reports to the metrics.
type site struct {
	*fetch.Fetcher
	kind.Kind
	pool    *pool.Pool
	mu      sync.Mutex
	reports []string // "A 200", with the masters named A, B, C in their order
}

func newSite(t *testing.T, urls []string, floor time.Duration, waits transport.Timeouts) *site {
	t.Helper()
	k, err := npm.New(kind.Options{PublicBase: origintest.PublicBase})
	if err != nil {
		t.Fatal(err)
	}
	b := &site{Kind: k}
	cfg := pool.Config{Timeouts: waits, PublicBase: origintest.PublicBase, LatencyFloor: floor, Observe: func(master, result string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.reports = append(b.reports, string(rune('A'+slices.Index(urls, master)))+" "+result)
	}}
	cfg.Random, cfg.Identity = func(int) int { return 0 }, "edge-test"
	for i, u := range origintest.URLs(t, urls) {
		cfg.Masters = append(cfg.Masters, health.Upstream{URL: u, Primary: i == 0})
	}
	b.pool = pool.New(cfg)
	b.pool.Start()
	t.Cleanup(b.pool.Close)
	b.Fetcher = fetch.New(fetch.Config{
		Kind: k, Masters: b.pool, Files: b.pool, Writes: b.pool.Writes(), MaxMetadata: 64 << 20, DigestWait: time.Millisecond,
	})
	return b
}

// Fetch fetches as the cache has it fetched, with the list that a file is checked against.
func (b *site) Fetch(ctx context.Context, a pool.Request, sink fetch.Sink) error {
	a.List = func(ctx context.Context, _ bool) ([]byte, error) {
		r := &origintest.Recorder{}
		if err := b.Fetcher.Fetch(ctx, pool.Request{Route: b.Lists(a.Route)[0]}, r); err != nil {
			return nil, err
		}
		for _, p := range r.Parts {
			if p.Variant == kind.Summary {
				return p.Body, nil
			}
		}
		return nil, fmt.Errorf("no digests in a %d", r.Status)
	}
	return b.Fetcher.Fetch(ctx, a, sink)
}

func (b *site) reported() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.reports)
}

func (b *site) route(path string) kind.Route {
	path, query, _ := strings.Cut(path, "?")
	return b.Route(kind.Request{Method: http.MethodGet, Path: path, Query: query, Header: http.Header{}})
}

func (b *site) ask(t *testing.T, r pool.Request) (*origintest.Recorder, error) {
	t.Helper()
	to := &origintest.Recorder{}
	return to, b.Fetch(t.Context(), r, to)
}

func (b *site) get(t *testing.T, path string) (*origintest.Recorder, error) {
	t.Helper()
	return b.ask(t, pool.Request{Route: b.route(path)})
}

// open passes a GET on.
func (b *site) open(t *testing.T, path string, ctx context.Context) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://edge.example"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b.pool.Pass(b.route(path), netip.Addr{}).RoundTrip(req)
}

// memo fetches the packument of the words, and returns its memo.
func (b *site) memo(t *testing.T) []byte {
	t.Helper()
	r, err := b.get(t, aPackument)
	if err != nil {
		t.Fatal(err)
	}
	return r.Find(t, kind.Summary, "")
}

// again fetches it as one that has that memo stored.
func (b *site) again(t *testing.T, memo []byte) (*origintest.Recorder, error) {
	t.Helper()
	return b.ask(t, pool.Request{Route: b.route(aPackument), Summary: memo})
}

func versionsOf(t *testing.T, r *origintest.Recorder) int {
	t.Helper()
	var doc struct {
		Versions map[string]json.RawMessage `json:"versions"`
	}
	if err := json.Unmarshal(r.Find(t, "full", ""), &doc); err != nil {
		t.Fatal(err)
	}
	return len(doc.Versions)
}

// behindLagging is a site whose replica, the one that would be asked first, is
// behind by a write that the site knows of.
func behindLagging(t *testing.T, write func(s *sample.Store) error) (*site, *origintest.Two, []byte) {
	t.Helper()
	w := origintest.NewTwo(t)
	b := newSite(t, w.URLs, time.Nanosecond, origintest.Patient())
	b.pool.Primary().Took(24 * time.Hour) // so that the replica is the better one
	before := b.memo(t)
	if n := w.A.Count(faults.Any); n != 0 {
		t.Fatalf("the primary was asked %d times before the write", n)
	}
	w.B.Lag()
	if err := write(w.Store); err != nil {
		t.Fatal(err)
	}
	b.pool.Writes().Add("edge-sample-words", time.Now())
	w.A.Forget()
	w.B.Forget()
	return b, w, before
}

func publish(s *sample.Store) error {
	return s.AddPackage("edge-sample-words", sample.Version{Number: "3.0.0"})
}

// The writer reads from the primary until the replica has caught up, which costs
// one request too many each time that it is tried too soon.
func TestWriteIsReadFromThePrimaryUntilAReplicaShowsIt(t *testing.T) {
	b, w, before := behindLagging(t, publish)
	r, err := b.again(t, before)
	if err != nil || versionsOf(t, r) != 5 {
		t.Fatalf("%v; reports %q", err, b.reported())
	}
	after := r.Find(t, kind.Summary, "")
	asked := func(what string, ask pool.Request, versions, primary, replica int) {
		t.Helper()
		w.A.Forget()
		w.B.Forget()
		ask.Route = b.route(aPackument)
		r, err := b.ask(t, ask)
		if err != nil || versions > 0 && versionsOf(t, r) != versions {
			t.Errorf("%s: %v; reports %q", what, err, b.reported())
		}
		if a, b := w.A.Count(faults.Any), w.B.Count(faults.Any); a != primary || b != replica {
			t.Errorf("%s: the primary was asked %d times, the replica %d; want %d and %d", what, a, b, primary, replica)
		}
	}
	asked("at once", pool.Request{Summary: after}, 5, 1, 0)
	b.pool.SpendRetries() // a trial has a bound of its own
	b.pool.Writes().MakeDue("edge-sample-words")
	asked("a trial of a replica that lags", pool.Request{Summary: after}, 5, 1, 1)
	asked("after that", pool.Request{Summary: after}, 5, 1, 0)
	w.B.CatchUp()
	asked("when it has caught up, and was not tried", pool.Request{Summary: after}, 5, 1, 0)
	b.pool.Writes().MakeDue("edge-sample-words")
	asked("a trial with nothing to compare", pool.Request{}, 5, 1, 0)
	asked("a trial", pool.Request{Summary: after}, 5, 0, 1)
	asked("and from then on", pool.Request{}, 5, 0, 1)
}

// A replica that lags still has a version that was removed, and looks newer.
func TestRemovedVersionDoesNotComeBack(t *testing.T) {
	b, w, before := behindLagging(t, func(*sample.Store) error { return nil })
	w.A.Break(faults.Path(aPackument), faults.Replace([]byte(threeVersions)))
	r, err := b.again(t, before)
	if err != nil || versionsOf(t, r) != 3 {
		t.Fatalf("%v; reports %q", err, b.reported())
	}
	after := r.Find(t, kind.Summary, "")
	b.pool.Writes().MakeDue("edge-sample-words")
	if r, err = b.again(t, after); err != nil || versionsOf(t, r) != 3 {
		t.Errorf("a trial: %v; reports %q", err, b.reported())
	}
	if !slices.Contains(b.reported(), "B older") {
		t.Errorf("reports %q; want B older", b.reported())
	}
	w.B.Break(faults.Path(aPackument), faults.Replace([]byte(threeVersions)))
	b.pool.Writes().MakeDue("edge-sample-words")
	w.A.Forget()
	if r, err = b.again(t, after); err != nil || versionsOf(t, r) != 3 || w.A.Count(faults.Any) != 0 {
		t.Errorf("when it has gone there too: %v, the primary was asked %d times", err, w.A.Count(faults.Any))
	}
}

// A replica that lags gives no new life to a document that a feed says has changed,
// while the primary cannot be asked.
func TestLaggingReplicaGivesNoLongLife(t *testing.T) {
	b, w, before := behindLagging(t, publish)
	w.A.Break(faults.Any, faults.Status(503))
	r, err := b.ask(t, pool.Request{Route: b.route(aPackument), Summary: before})
	if err != nil || versionsOf(t, r) != 4 || r.Header.Get("Cache-Control") != pool.Briefly {
		t.Errorf("%v, Cache-Control: %s", err, r.Header.Get("Cache-Control"))
	}
	tag := r.Header.Get("Etag")
	if r, err = b.ask(t, pool.Request{Route: b.route(aPackument), Summary: before, ETag: tag}); err != nil || r.Status != http.StatusNotModified || r.Header.Get("Cache-Control") != pool.Briefly {
		t.Errorf("%d %v, Cache-Control: %s", r.Status, err, r.Header.Get("Cache-Control"))
	}
	w.A.Mend()
	if r, err = b.ask(t, pool.Request{Route: b.route(aPackument), Summary: before, ETag: tag}); err != nil || versionsOf(t, r) != 5 || r.Header.Get("Cache-Control") == pool.Briefly {
		t.Errorf("%d %v, Cache-Control: %s", r.Status, err, r.Header.Get("Cache-Control"))
	}
	// The primary's own 304 is as good as a document.
	w.B.CatchUp()
	after, tag := r.Find(t, kind.Summary, ""), r.Header.Get("Etag")
	b.pool.Writes().Add("edge-sample-words", time.Now())
	for _, status := range []int{http.StatusNotModified, http.StatusOK} { // of the primary, and of the replica, whose tags are its own
		if r, err = b.ask(t, pool.Request{Route: b.route(aPackument), Summary: after, ETag: tag}); err != nil || r.Status != status {
			t.Errorf("%d %v; want %d", r.Status, err, status)
		}
		b.pool.Writes().MakeDue("edge-sample-words")
	}
	if b.pool.Writes().Len() != 0 {
		t.Errorf("still pinned; reports %q", b.reported())
	}
}

// In any trouble, and whenever clients leave, every place at a master is
// given back, and nothing goes on (goleak looks, in TestMain).
func TestNoPlaceIsLost(t *testing.T) {
	short := origintest.Patient()
	short.FirstByte, short.Idle = 50*time.Millisecond, 50*time.Millisecond
	w := origintest.NewTwo(t)
	w.AddLarge(t)
	b := newSite(t, w.URLs, time.Hour, short)
	b.pool.MakeUsual()
	wrongs := []faults.Fault{
		faults.Status(503), faults.Drop(), faults.Hang(), faults.HangAfter(10), faults.CutAfter(10), faults.NotModified(), faults.HTML(), faults.FlipByte(-1), faults.CutAfter(2 * smallFile),
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		for _, m := range []*faults.Master{w.A, w.B} {
			m.BreakNext(2, faults.Any, wrongs[random.IntN(len(wrongs))])
		}
	}
	var all sync.WaitGroup
	for i := range 120 {
		path := []string{aPackument, aTarball, origintest.LargeTarball, search}[i%4]
		leaves := random.IntN(3) == 0
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if leaves {
				go cancel()
			}
			if path != search {
				b.Fetch(ctx, pool.Request{Route: b.route(path), Stale: i%3 == 0}, &origintest.Recorder{})
				return
			}
			if resp, err := b.open(t, path, ctx); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	all.Wait()
	busy := func() (n int) {
		for _, m := range b.pool.Status().Masters {
			n += m.InFlight + m.Waiting
		}
		return n
	}
	// Those of digests that nobody waits for any more are given back a little later.
	origintest.Until(t, func() bool { return busy() == 0 }, func() any { return b.pool.Status() })
}
