package daemon

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
)

// crowded is an edge with small ceilings, before an origin that answers paths with "slow"
// when it is told to.
type crowded struct {
	*testEdge
	asked   atomic.Int32 // for something slow
	release func()
}

func newCrowded(t *testing.T, concurrent string) *crowded {
	t.Helper()
	hold := make(chan struct{})
	c := &crowded{release: sync.OnceFunc(func() { close(hold) })}
	origin := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "slow") {
			c.asked.Add(1)
			<-hold
		}
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Cache-Control", "max-age=3600")
		io.WriteString(w, "file")
	}))
	c.testEdge = newTestEdge(t, fmt.Sprintf(`limits: { concurrent: { %s }, exempt: [10.0.0.0/8] }
sites: [{ name: files, kind: files, path: /f/, probe: { every: 1h }, timeouts: { first_byte: 1m }, masters: [{ url: "%s", role: primary }] }]`, concurrent, origin), false)
	serveEdge(t, c.testEdge)
	t.Cleanup(c.release)
	return c
}

// hold begins requests of a client for slow things, and returns when the origin has them all.
func (c *crowded) hold(t *testing.T, client, method string, body func() io.ReadCloser, n int) (ended *sync.WaitGroup) {
	t.Helper()
	before := int(c.asked.Load())
	ended = new(sync.WaitGroup)
	for i := range n {
		ended.Go(func() {
			if resp := sendHandler(c.testEdge, client, method, fmt.Sprintf("/f/slow/%s/%d", client, i), body()); resp.Code != http.StatusOK {
				t.Errorf("a request within the ceiling: %d", resp.Code)
			}
		})
	}
	edgetest.Until(t, "the requests at the origin", func() bool { return int(c.asked.Load()) == before+n })
	return ended
}

func noBody() io.ReadCloser { return http.NoBody }

func (c *crowded) refuses(t *testing.T, client, method, path string, body io.ReadCloser, status int) {
	t.Helper()
	resp := sendHandler(c.testEdge, client, method, path, body)
	if resp.Code != status || resp.Header().Get("Retry-After") == "" || !strings.Contains(resp.Header().Get("Cache-Status"), "detail=limited") {
		t.Errorf("%s: %s %s: %d, %v; want %d", client, method, path, resp.Code, resp.Header(), status)
	}
}

func (c *crowded) answers(t *testing.T, client, method, path string, body io.ReadCloser) {
	t.Helper()
	if resp := sendHandler(c.testEdge, client, method, path, body); resp.Code != http.StatusOK {
		t.Errorf("%s: %s %s: %d %s", client, method, path, resp.Code, resp.Body)
	}
}

const alice, bob, exempt = "[2001:db8::1]:9", "[2001:db8:0:1::1]:9", "10.0.0.1:9"

func TestRequestsOfAClientHaveACeiling(t *testing.T) {
	c := newCrowded(t, "client_requests: 4, requests: 6")
	alices := c.hold(t, alice, "GET", noBody, 4)
	c.refuses(t, "[2001:db8::ffff]:9", "GET", "/f/other", http.NoBody, http.StatusTooManyRequests)
	c.answers(t, bob, "GET", "/f/other", http.NoBody)
	others := c.hold(t, exempt, "GET", noBody, 2)
	c.refuses(t, bob, "GET", "/f/other", http.NoBody, http.StatusServiceUnavailable)
	c.refuses(t, exempt, "GET", "/f/other", http.NoBody, http.StatusServiceUnavailable)
	c.release()
	alices.Wait()
	others.Wait()
	c.answers(t, alice, "GET", "/f/other", http.NoBody)
	if n, _, refused := c.handler.Ceilings.Requests.Figures(); n != 0 || refused.All != 2 || refused.Each != 1 {
		t.Errorf("%d are under way, refused %+v", n, refused)
	}
}

// The ceiling of misses refuses no hit, and no request that waits for another one's fetch.
func TestMissesOfAClientHaveACeiling(t *testing.T) {
	c := newCrowded(t, "client_misses: 3")
	c.answers(t, alice, "GET", "/f/stored", http.NoBody)
	held := c.hold(t, alice, "GET", noBody, 3)
	c.refuses(t, alice, "GET", "/f/other", http.NoBody, http.StatusTooManyRequests)
	c.answers(t, alice, "GET", "/f/stored", http.NoBody)
	c.answers(t, bob, "GET", "/f/other", http.NoBody)
	c.answers(t, alice, "GET", "/f/other", http.NoBody)
	exempted := c.hold(t, exempt, "GET", noBody, 5)
	c.release()
	held.Wait()
	exempted.Wait()
	c.answers(t, alice, "GET", "/f/another", http.NoBody)
}

func TestBodiesOfAClientHaveACeiling(t *testing.T) {
	c := newCrowded(t, "client_bodies: 3")
	body := func() io.ReadCloser { return io.NopCloser(strings.NewReader("body")) }
	held := c.hold(t, alice, "PUT", body, 3)
	c.refuses(t, alice, "PUT", "/f/other", body(), http.StatusTooManyRequests)
	c.answers(t, alice, "GET", "/f/other", http.NoBody)
	c.answers(t, bob, "PUT", "/f/other", body())
	c.release()
	held.Wait()
	c.answers(t, alice, "PUT", "/f/other", body())
}

// A body that no handler reads is waited for by net/http, and not for ever.
func TestABodyThatNobodyReadsHasItsTime(t *testing.T) {
	c := newCrowded(t, "requests: 0")
	deadlines := make(chan time.Time, 10)
	w := &deadlined{ResponseWriter: noResponse{}, read: deadlines}
	r, err := http.NewRequest("GET", "http://edge/f/stored", strings.NewReader("a body"))
	if err != nil {
		t.Fatal(err)
	}
	r.Host, r.RemoteAddr, r.RequestURI = c.cfg.Listen, alice, "/f/stored"
	begun := time.Now()
	c.handler.ServeHTTP(w, r)
	select {
	case at := <-deadlines:
		if late := at.Sub(begun); late <= 0 || late > 2*time.Minute {
			t.Errorf("the deadline is %v away", late)
		}
	default:
		t.Error("there is no deadline")
	}
}

// deadlined notes the deadlines of reads.
type deadlined struct {
	http.ResponseWriter
	read chan time.Time
}

func (d *deadlined) SetReadDeadline(at time.Time) error { d.read <- at; return nil }

type noResponse struct{}

func (noResponse) Header() http.Header         { return make(http.Header) }
func (noResponse) Write(p []byte) (int, error) { return len(p), nil }
func (noResponse) WriteHeader(int)             {}

// A client that begins heads and does not end them is refused further ones. Whole heads
// are none of them.
func TestHeadsOfAClientHaveACeiling(t *testing.T) {
	c := newCrowded(t, "client_heads: 3")
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", c.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	heads := func(n int) {
		t.Helper()
		edgetest.Until(t, fmt.Sprint(n, " heads"), func() bool {
			have, _, _ := c.handler.Ceilings.Heads.Figures()
			return have == n
		})
	}
	var slow []net.Conn
	for i := range 3 {
		slow = append(slow, dial())
		io.WriteString(slow[i], "GET /f/a HT")
		heads(i + 1)
	}
	more := dial()
	io.WriteString(more, "GET /f/a HT")
	resp, err := http.ReadResponse(bufio.NewReader(more), nil)
	if err != nil || resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one head more: %+v, %v", resp, err)
	}
	if statuses := answersOf(t, dial(), wireGet("/f/a"), wireGet("/f/a"), wireGet("/f/a")); statuses != "200 200 200" {
		t.Errorf("whole heads beside them: %s", statuses)
	}
	if statuses := answersOf(t, slow[0], "TP/1.1\r\nHost: edge\r\n\r\n"); statuses != "200" {
		t.Errorf("a slow head that ends: %s", statuses)
	}
	heads(2)
	slow[1].Close()
	heads(1)
}

// answersOf sends requests, each when the one before is answered, and returns the statuses.
func answersOf(t *testing.T, c net.Conn, requests ...string) string {
	t.Helper()
	from := bufio.NewReader(c)
	var statuses []string
	for _, request := range requests {
		io.WriteString(c, request)
		resp, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		statuses = append(statuses, fmt.Sprint(resp.StatusCode))
	}
	return strings.Join(statuses, " ")
}

// Budgets are told where the configuration says so, with every answer that costs something,
// in the same way for hits.
func TestBudgetsAreTold(t *testing.T) {
	origin := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		io.WriteString(w, "file")
	}))
	for _, tt := range []struct{ limits, policy, budgets string }{
		{"rate: 0.5, burst: 12, fields: true", `"client";q=12;w=24`, `"client";r=11;t=2 "client";r=1;t=22 "client";r=0;t=24 "client";r=0;t=24`},
		{"rate: 0.5, burst: 12", "", "   "},
		{"fields: true", "", "   "},
	} {
		e := newTestEdge(t, fmt.Sprintf(`limits: { %s }
sites: [{ name: files, kind: files, path: /f/, probe: { every: 1h }, masters: [{ url: "%s", role: primary }] }]`, tt.limits, origin), false)
		serveEdge(t, e)
		c, err := net.Dial("tcp", e.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		from := bufio.NewReader(c)
		var budgets []string
		for range 4 {
			io.WriteString(c, wireGet("/f/a"))
			resp, err := http.ReadResponse(from, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			if got := resp.Header.Get("RateLimit-Policy"); got != tt.policy {
				t.Errorf("%s: the policy is %q; want %q", tt.limits, got, tt.policy)
			}
			budgets = append(budgets, resp.Header.Get("RateLimit"))
		}
		if got := strings.Join(budgets, " "); got != tt.budgets {
			t.Errorf("%s: the budgets are %q; want %q", tt.limits, got, tt.budgets)
		}
	}
}
