package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// asking is a GET with the given Cache-Control, "" for none.
func asking(control string) policy.Request {
	return policy.Request{Method: http.MethodGet, Control: policy.RequestControl(http.Header{"Cache-Control": {control}})}
}

// fetch is a scripted origin.
type fetch func(ctx context.Context, ask FetchRequest, fill *Fill) error

func (f fetch) Fetch(ctx context.Context, ask FetchRequest, fill *Fill) error {
	return f(ctx, ask, fill)
}

// counting counts the calls of an origin.
type counting struct {
	calls atomic.Int64
	fetch func(n int, ctx context.Context, ask FetchRequest, fill *Fill) error
}

func (c *counting) Fetch(ctx context.Context, ask FetchRequest, fill *Fill) error {
	return c.fetch(int(c.calls.Add(1)), ctx, ask, fill)
}

func (c *counting) want(t testing.TB, n int64) {
	t.Helper()
	if got := c.calls.Load(); got != n {
		t.Errorf("origin was asked %d times, want %d", got, n)
	}
}

// respond streams one response with a known length.
func respond(fill *Fill, status int, body string, lines ...string) error {
	if err := fill.Respond(status, policytest.Fields(lines...), int64(len(body))); err != nil {
		return err
	}
	_, err := io.WriteString(fill, body)
	return err
}

// always answers every fetch alike.
func always(status int, body string, lines ...string) *counting {
	return &counting{fetch: func(_ int, _ context.Context, _ FetchRequest, fill *Fill) error {
		return respond(fill, status, body, lines...)
	}}
}

var errOrigin = errors.New("origin is down")

// failing is an origin that cannot be reached.
func failing() *counting {
	return &counting{fetch: func(int, context.Context, FetchRequest, *Fill) error { return errOrigin }}
}

// opened is a cache over a directory of its own, closed with the test.
func opened(t testing.TB, change func(*Config)) *Cache {
	t.Helper()
	cfg := Config{Memory: 4 << 20, Disk: 64 << 20, MaxObject: 32 << 20}
	if change != nil {
		change(&cfg)
	}
	if cfg.Disk > 0 && cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("cannot close: %v", err)
		}
		if cfg.Disk > 0 {
			storetest.Clean(t, cfg.Dir)
		}
	})
	return c
}

func memoryOnly(cfg *Config) { cfg.Disk, cfg.Memory = 0, 96<<20 }

// both runs a test with and without a disk tier, on a clock that stands still
// until everybody waits.
func both(t *testing.T, test func(t *testing.T, c *Cache)) {
	t.Helper()
	for name, config := range map[string]func(*Config){"memory": memoryOnly, "tiers": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, opened(t, config)) })
		})
	}
}

// pass lets time go by on the clock of both.
func pass(d time.Duration) { <-time.After(d) }

// query asks for one key of one site.
func query(id string, from Fetcher) *Query {
	return &Query{Key: store.Key{Site: "s", ID: id, Group: "g"}, Request: asking(""), Fetcher: from}
}

// settle waits until no fill is under way and memory's queue is empty.
func settle(c *Cache) {
	c.wg.Wait()
	c.memory.Wait()
}

// body reads the whole of an answer.
func body(a Answer) (string, error) {
	r, err := a.Body(context.Background(), 0)
	if err != nil {
		return "", err
	}
	if a.Part.Size >= 0 {
		r = io.LimitReader(r, a.Part.Size) // a file does not stop at the part's end
	}
	return readAll(r, a.Part.Size)
}

// readAll reads to the end, into room for size bytes where that is known: the
// race detector makes each growth dear.
func readAll(r io.Reader, size int64) (string, error) {
	var b strings.Builder
	b.Grow(int(max(size, 0)))
	_, err := io.Copy(&b, r)
	return b.String(), err
}

// got is a client's view of an answer.
type got struct {
	outcome Outcome
	status  int
	body    string
	err     error
}

func (g got) String() string {
	if len(g.body) > 40 {
		g.body = fmt.Sprintf("%d bytes", len(g.body))
	}
	return fmt.Sprintf("{%v %d %q %v}", g.outcome, g.status, g.body, g.err)
}

// get is a client that reads everything.
func get(c *Cache, q *Query) got {
	a, err := c.Get(context.Background(), q)
	if err != nil {
		return got{err: err}
	}
	defer a.Close()
	text, err := body(a)
	return got{a.Outcome, a.Status, text, err}
}

// expect fails the test unless q is answered so.
func expect(t testing.TB, c *Cache, q *Query, outcome Outcome, text string) {
	t.Helper()
	g := get(c, q)
	if g.err != nil || g.outcome != outcome || g.body != text {
		t.Errorf("got %v, want {%v %q}", g, outcome, text)
	}
}
