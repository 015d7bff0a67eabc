package pool

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/npm"
	"pkgedge/origin/origintest"
	"pkgedge/origin/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	inARow     = 5 // requests that put a master out, see package health
	firstWidth = 8 // of a limiter

	ping       = "/-/ping"
	aPackument = "/edge-sample-words"
	aTarball   = "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
)

var unanswered = &health.Blame{Did: "not answered in time", Unanswered: true}

// poolOf has masters named a, b, c, … in that order, with these roles: primary,
// replica and spare.
func poolOf(roles string, change func(*Config)) *Pool {
	cfg := Config{}
	cfg.Site, cfg.Pool, cfg.Random = "npm", "masters", func(int) int { return 0 }
	for i, r := range roles {
		u := &url.URL{Scheme: "https", Host: string(rune('a'+i)) + ".example"}
		cfg.Masters = append(cfg.Masters, health.Upstream{URL: u, Primary: r == 'p', Spare: r == 's'})
	}
	if change != nil {
		change(&cfg)
	}
	return New(cfg)
}

// named is the master of that letter.
func (p *Pool) named(letter string) *health.Master {
	i := slices.IndexFunc(p.Masters(), func(m *health.Master) bool { return m.Base.Host == letter+".example" })
	return p.Masters()[i]
}

// asked are the letters of the masters in the order in which a read asks them,
// with a bar before those that are not expected to answer.
func (p *Pool) asked(r Request) string { return letters(p.order(&r)) }

func letters(order []*health.Master, usable int) string {
	var b strings.Builder
	for i, m := range order {
		if i == usable {
			b.WriteByte('|')
		}
		b.WriteString(m.Base.Host[:1])
	}
	return b.String()
}

// fail has so many requests to a master in a row go unanswered.
func (p *Pool) fail(m *health.Master, times int) {
	for range times {
		p.Failed(m, unanswered)
	}
}

// occupy takes places at a master.
func (p *Pool) occupy(t *testing.T, m *health.Master, c health.Class, places int) {
	t.Helper()
	for range places {
		if err := p.Acquire(t.Context(), netip.Addr{}, m, c, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// behind is a pool under test and its reports to the metrics.
type behind struct {
	*Pool
	kind    kind.Kind
	mu      sync.Mutex
	reports []string // "A 200", with the masters named A, B, C in their order
}

// newBehind makes a pool of masters at base URLs; the first is the primary.
func newBehind(t *testing.T, urls []string, waits ...transport.Timeouts) *behind {
	t.Helper()
	return newBehindWith(t, urls, func(c *Config) {
		for _, w := range waits {
			c.Timeouts = w
		}
	})
}

// newProbed is newBehind with probes of ping every few milliseconds, of which one puts a
// master out or brings it back.
func newProbed(t *testing.T, urls []string, waits ...transport.Timeouts) *behind {
	t.Helper()
	return newBehindWith(t, urls, func(c *Config) {
		c.Probe = health.Probe{Path: ping, Every: 5 * time.Millisecond, Timeout: time.Minute, Fall: 1, Rise: 1}
		c.ProbePath = npm.Descriptor().ProbePath
		for _, w := range waits {
			c.Timeouts = w
		}
	})
}

func newBehindWith(t *testing.T, urls []string, change func(*Config)) *behind {
	t.Helper()
	k, err := npm.New(kind.Options{PublicBase: origintest.PublicBase})
	if err != nil {
		t.Fatal(err)
	}
	b := &behind{kind: k}
	cfg := Config{
		Timeouts: origintest.Patient(), PublicBase: origintest.PublicBase,
		LatencyFloor: time.Hour, // how busy this machine is does not decide
		Observe: func(master, result string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.reports = append(b.reports, string(rune('A'+slices.Index(urls, master)))+" "+result)
		},
	}
	cfg.Random = func(int) int { return 0 } // the masters in their order, where nothing else decides
	cfg.Identity = "edge-test"
	change(&cfg)
	for i, u := range origintest.URLs(t, urls) {
		cfg.Masters = append(cfg.Masters, health.Upstream{URL: u, Primary: i == 0})
	}
	b.Pool = New(cfg)
	b.Start()
	t.Cleanup(b.Close)
	return b
}

func (b *behind) reported() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.reports)
}

func (b *behind) route(path string) kind.Route {
	return b.kind.Route(kind.Request{Method: http.MethodGet, Path: path, Header: http.Header{}})
}

// answer is a response that was accepted.
type answer struct {
	status int
	body   []byte
}

// use accepts every response that comes whole.
func (a *answer) use(_ context.Context, _ *health.Master, r *http.Response) (Verdict, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return Next, err
	}
	a.status, a.body = r.StatusCode, body
	return Accepted, nil
}

func (b *behind) get(t *testing.T, path string) (*answer, error) {
	t.Helper()
	a := &answer{}
	return a, b.Each(t.Context(), Request{Route: b.route(path)}, a.use)
}

// settle waits until no master has a request in flight, nor one that waits.
func (b *behind) settle(t *testing.T) {
	b.await(t, func(m health.MasterStatus) int { return m.InFlight + m.Waiting }, 0)
}

// awaitWaiting waits until so many requests wait for a place.
func (b *behind) awaitWaiting(t *testing.T, n int) {
	t.Helper()
	b.await(t, func(m health.MasterStatus) int { return m.Waiting }, n)
}

// awaitOutage waits until probes have put every master out.
func (b *behind) awaitOutage(t *testing.T) {
	t.Helper()
	origintest.Until(t, b.Down, func() any { return b.Status() })
}

func (b *behind) await(t *testing.T, count func(health.MasterStatus) int, n int) {
	t.Helper()
	origintest.Until(t, func() bool {
		got := 0
		for _, m := range b.Status().Masters {
			got += count(m)
		}
		return got == n
	}, func() any { return b.Status() })
}

// isUnavailable checks that err says so, and returns it in detail.
func isUnavailable(t *testing.T, err error) *Unavailable {
	t.Helper()
	var u *Unavailable
	if !errors.Is(err, ErrUnavailable) || !errors.As(err, &u) {
		t.Fatalf("err = %v; want %v", err, ErrUnavailable)
	}
	return u
}
