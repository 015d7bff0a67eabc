package fetch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pkgedge/origin/documents"
	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/kinds"
	"pkgedge/origin/npm"
	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
	"pkgedge/origin/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup is the configuration of a site under test.
type setup struct {
	Kind        kind.Descriptor
	Masters     []health.Upstream
	Files       []health.Upstream // where files come from instead of Masters, when set
	Timeouts    transport.Timeouts
	MaxMetadata int64
	Documents   *documents.Memory
	List        func(ctx context.Context, list kind.Route, renew bool) ([]byte, error) // nil where files go unchecked
	MinimumAge  time.Duration
	PublicBase  string
	Others      []*url.URL // masters of the other pool
	Log         *slog.Logger
	Spool       SpoolTimes
}

// option changes a site's configuration.
type option func(*setup)

func ofKind(name string) option {
	return func(c *setup) { c.Kind = *kind.ByName(kinds.All(), name) }
}
func waits(w transport.Timeouts) option { return func(c *setup) { c.Timeouts = w } }
func maxMetadata(n int64) option        { return func(c *setup) { c.MaxMetadata = n } }

// unspooled has every file released with its first bytes, as one is that has come for long.
func unspooled(c *setup) { c.Spool = SpoolTimes{Least: 1} }

// listedBy makes list the document that every file is checked against.
func listedBy(list func(renew bool) ([]byte, error)) option {
	return func(c *setup) {
		c.List = func(_ context.Context, _ kind.Route, renew bool) ([]byte, error) { return list(renew) }
	}
}

// filesFrom gives files masters of their own.
func filesFrom(t *testing.T, urls ...string) option {
	return func(c *setup) { c.Files = upstreamsOf(t, urls) }
}

func upstreamsOf(t *testing.T, urls []string) (all []health.Upstream) {
	t.Helper()
	for i, u := range origintest.URLs(t, urls) {
		all = append(all, health.Upstream{URL: u, Primary: i == 0})
	}
	return all
}

// behind is a site under test and its reports to the metrics.
type behind struct {
	*Fetcher
	kind.Kind
	list           func(ctx context.Context, list kind.Route, renew bool) ([]byte, error)
	masters, files *pool.Pool
	mu             sync.Mutex
	reports        []string // "A 200", with the masters named A, B, C in their order
}

// newBehind makes a site of masters at base URLs; the first is the primary.
// Lists of digests are fetched from the masters each time.
func newBehind(t *testing.T, urls []string, options ...option) *behind {
	t.Helper()
	b := &behind{}
	cfg := setup{
		Kind: npm.Descriptor(), PublicBase: origintest.PublicBase, Timeouts: origintest.Patient(), MaxMetadata: 64 << 20,
		Masters: upstreamsOf(t, urls),
	}
	cfg.List = func(ctx context.Context, list kind.Route, _ bool) ([]byte, error) {
		r := &origintest.Recorder{}
		if err := b.Fetch(ctx, pool.Request{Route: list}, r); err != nil {
			return nil, err
		}
		for _, p := range r.Parts {
			if p.Variant == kind.Summary {
				return p.Body, nil
			}
		}
		return nil, fmt.Errorf("no digests in a %d", r.Status)
	}
	for _, o := range options {
		o(&cfg)
	}
	var err error
	b.Kind, err = cfg.Kind.New(kind.Options{PublicBase: cfg.PublicBase, MinimumAge: cfg.MinimumAge})
	if err != nil {
		t.Fatal(err)
	}
	writes := pool.NewRecentWrites()
	newPool := func(name string, masters []health.Upstream, files bool) *pool.Pool {
		c := pool.Config{
			Timeouts: cfg.Timeouts, PublicBase: cfg.PublicBase, Writes: writes,
			LatencyFloor: time.Hour, // how busy this machine is does not decide
			Observe: func(master, result string) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.reports = append(b.reports, string(rune('A'+slices.Index(urls, master)))+" "+result)
			},
		}
		c.Log = cfg.Log
		c.Pool, c.Masters, c.Files, c.Others, c.Identity = name, masters, files, cfg.Others, "edge-test"
		c.Ping, c.ProbePath = cfg.Kind.Ping, cfg.Kind.ProbePath
		c.Random = func(int) int { return 0 } // the masters in their order, where nothing else decides
		p := pool.New(c)
		p.Start()
		t.Cleanup(p.Close)
		return p
	}
	b.masters = newPool("masters", cfg.Masters, false)
	b.files = b.masters
	if len(cfg.Files) > 0 {
		b.files = newPool("files", cfg.Files, true)
	}
	b.list = cfg.List
	w, ok := b.Kind.(kind.Withholder)
	b.Fetcher = New(Config{
		Kind: b.Kind, Masters: b.masters, Files: b.files, Writes: writes, Documents: cfg.Documents,
		MaxMetadata: cfg.MaxMetadata, Policed: ok && w.Withholds(), Spool: cfg.Spool,
	})
	return b
}

// Fetch fetches as the cache has it fetched, with the list that a file is checked against.
func (b *behind) Fetch(ctx context.Context, a pool.Request, sink Sink) error {
	if b.list != nil {
		a.List = func(ctx context.Context, renew bool) (doc []byte, err error) {
			for _, list := range b.Lists(a.Route) {
				if doc, err = b.list(ctx, list, renew); err == nil {
					break
				}
			}
			return doc, err
		}
	}
	err := b.Fetcher.Fetch(ctx, a, sink)
	if r, ok := sink.(*origintest.Recorder); ok {
		r.End(err)
	}
	return err
}

// reported returns the reports so far.
func (b *behind) reported() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.reports)
}

// route names a path.
func (b *behind) route(path string) kind.Route {
	return b.Route(kind.Request{Method: http.MethodGet, Path: path, Header: http.Header{}})
}

// get fetches the document or file at a path.
func (b *behind) get(t *testing.T, path string) (*origintest.Recorder, error) {
	t.Helper()
	return b.ask(t, pool.Request{Route: b.route(path)})
}

func (b *behind) ask(t *testing.T, a pool.Request) (*origintest.Recorder, error) {
	t.Helper()
	if !a.Route.Class.Cacheable() {
		t.Fatalf("not cacheable: %+v", a.Route)
	}
	r := &origintest.Recorder{}
	return r, b.Fetch(t.Context(), a, r)
}

// settle waits until no master has a request in flight.
func (b *behind) settle(t *testing.T) {
	t.Helper()
	busy := func() (n int) {
		for _, m := range b.masters.Status().Masters {
			n += m.InFlight + m.Waiting
		}
		return n
	}
	origintest.Until(t, func() bool { return busy() == 0 }, func() any { return b.masters.Status() })
}

// isUnavailable checks that err says so, and returns it in detail.
func isUnavailable(t *testing.T, err error) *pool.Unavailable {
	t.Helper()
	var u *pool.Unavailable
	if !errors.Is(err, pool.ErrUnavailable) || !errors.As(err, &u) {
		t.Fatalf("err = %v; want %v", err, pool.ErrUnavailable)
	}
	return u
}
