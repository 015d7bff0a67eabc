package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// Cache-Status on responses without the cache, and Proxy-Status on every failure
// (RFC 9211, RFC 9209).

// client asks one edge.
type client struct {
	t         *testing.T
	edge      *testEdge
	transport *http.Transport
}

func newTestClient(t *testing.T, config string, disk bool) *client {
	t.Helper()
	e := newTestEdge(t, config, disk)
	serveEdge(t, e)
	c := &client{t, e, &http.Transport{DisableCompression: true}}
	t.Cleanup(c.transport.CloseIdleConnections)
	return c
}

// do sends a request to the edge, and sees that the answer tells the truth.
func (c *client) do(method, path string, fields ...string) *answered {
	c.t.Helper()
	a := c.send(method, path, fields...)
	checkHonest(c.t, a, 1)
	return a
}

// send sends a request, from any goroutine: a request that gets no answer fails the
// test, and has status 0.
func (c *client) send(method, path string, fields ...string) *answered {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), edgetest.Patience)
	defer cancel()
	none := &answered{Response: &http.Response{Header: make(http.Header)}}
	req, err := http.NewRequestWithContext(ctx, method, c.edge.cfg.PublicURL.String()+path, nil)
	if err != nil {
		c.t.Error(err)
		return none
	}
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		c.t.Error(err)
		return none
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return &answered{Response: resp, body: string(body), err: err}
}

func (c *client) want(a *answered, status int, fields ...string) {
	c.t.Helper()
	if a.StatusCode != status {
		c.t.Errorf("status %d, %v, %q; want %d", a.StatusCode, a.Header, a.body, status)
	}
	checkFields(c.t, "the response", a.Header, fields, 0)
}

func plainSite(master, more string) string {
	return fmt.Sprintf(`sites: [{ name: site, kind: files, path: /files/, %s masters: [{ url: %q, role: primary }] }]`, more, master)
}

// wireOrigin answers every connection with bytes, and hangs or closes.
func wireOrigin(t *testing.T, bytes string, hang bool) string {
	t.Helper()
	return newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, bytes)
		if hang {
			io.Copy(io.Discard, conn) // until the edge gives up
		}
		conn.Close()
	}))
}

func refusingOrigin(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return "http://" + l.Addr().String()
}

func TestFailuresAreNamed(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
	for _, tt := range []struct {
		why    string
		status int
		origin func(t *testing.T) string
	}{
		{"connection_refused", 503, refusingOrigin},
		{"connection_terminated", 503, func(t *testing.T) string { return wireOrigin(t, "", false) }},
		{"http_response_timeout", 504, func(t *testing.T) string { return wireOrigin(t, "", true) }},
		{"http_response_timeout", 504, func(t *testing.T) string { return wireOrigin(t, "HTTP/1.1 200 OK\r\nX-", true) }},
		{"connection_read_timeout", 504, func(t *testing.T) string { return wireOrigin(t, ok+"Content-Length: 10\r\n\r\n", true) }},
		{"http_response_incomplete", 503, func(t *testing.T) string { return wireOrigin(t, ok+"Content-Length: 10\r\n\r\n", false) }},
		{"http_protocol_error", 503, func(t *testing.T) string { return wireOrigin(t, "220 mail.example ESMTP\r\n\r\n", false) }},
		{"http_protocol_error", 503, func(t *testing.T) string { return wireOrigin(t, ok+"Content-Length: ten\r\n\r\n", false) }},
		{"http_response_transfer_coding", 503, func(t *testing.T) string { return wireOrigin(t, ok+"Transfer-Encoding: abc\r\n\r\n", false) }},
		{"http_response_header_section_size", 503, func(t *testing.T) string {
			return wireOrigin(t, ok+"X-Huge: "+strings.Repeat("h", 100<<10)+"\r\n\r\n", true)
		}},
		{"tls_certificate_error", 503, func(t *testing.T) string {
			s := httptest.NewUnstartedServer(http.NotFoundHandler())
			s.Config.ErrorLog = quietHTTP()
			s.StartTLS()
			t.Cleanup(s.Close)
			return s.URL
		}},
		{"tls_protocol_error", 503, func(t *testing.T) string {
			return strings.Replace(newOrigin(t, http.NotFoundHandler()), "http:", "https:", 1)
		}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			t.Parallel()
			waits := "" // where nothing is waited for in vain, a busy machine has all the time it needs
			if tt.status == http.StatusGatewayTimeout {
				waits = "timeouts: { first_byte: 100ms, idle: 100ms, write: 100ms },"
			}
			c := newTestClient(t, plainSite(tt.origin(t), waits), true)
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				a := c.do(method, "/files/x")
				if method == http.MethodHead && a.StatusCode == http.StatusOK {
					continue // the header was all it wanted
				}
				c.want(a, tt.status, "Proxy-Status: edge; error="+tt.why, "Cache-Status: edge; detail=error", "Retry-After: 5",
					"Cache-Control: no-store", "Content-Type: application/json", "Via: 1.1 edge", "!Age")
			}
			if strings.HasPrefix(tt.why, "connection_re") || tt.why == "http_response_incomplete" {
				return // a write sees the header, or is the same
			}
			c.want(c.do(http.MethodPost, "/files/x"), tt.status, "Proxy-Status: edge; error="+tt.why, "Cache-Status: edge; detail=error")
		})
	}
}

func TestWhatNeverReachesTheCacheSaysSo(t *testing.T) {
	master := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	c := newTestClient(t, plainSite(master, "")+"\nlimits: { rate: 0.001, burst: 50 }", true)
	const clientError = "Proxy-Status: edge; error=http_request_error"
	c.want(c.do(http.MethodGet, "/elsewhere"), 404, "Cache-Status: edge; detail=refused", clientError)
	c.want(c.do(http.MethodTrace, "/files/x"), 405, "Cache-Status: edge; detail=refused", clientError, "Allow: *")
	c.want(c.do(http.MethodGet, "/files/"+strings.Repeat("x", 10_000)), 414, "Cache-Status: edge; detail=refused", clientError)
	id := c.edge.identity
	for _, field := range []string{"Via: 1.1 a, 1.1 " + id, "CDN-Loop: a, " + id + "; b=c"} {
		c.want(c.do(http.MethodGet, "/files/x", field), 508, "Cache-Status: edge; detail=loop", "Proxy-Status: edge; error=proxy_loop_detected")
	}
	for range 200 {
		a := c.do(http.MethodGet, "/files/x")
		if a.StatusCode == http.StatusOK {
			continue
		}
		c.want(a, 429, "Cache-Status: edge; detail=limited", clientError, "Retry-After: *")
		return
	}
	t.Error("never limited")
}

// A site whose master is the edge itself.
func TestALoopEndsAndIsNamed(t *testing.T) {
	e := newTestEdge(t, plainSite("http://127.0.0.1:1", ""), true)
	e.cfg.Sites[0].Masters[0].URL = e.cfg.PublicURL
	e.cfg.Sites[0].Path = "/"
	old := e.serving()
	g, err := e.build(e.cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.use(g)
	old.closeSites(g)
	serveEdge(t, e)
	c := &client{t, e, &http.Transport{}}
	t.Cleanup(c.transport.CloseIdleConnections)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		// Two hops answer, and both are this edge.
		c.want(c.send(method, "/x"), 508, "Proxy-Status: edge; error=proxy_loop_detected")
	}
}

// npmSite is an edge in front of a sample registry whose answers may be used for
// no time at all.
func npmSite(t *testing.T) (*client, *faults.Master, *sample.Server) {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	master := faults.NewMaster(store, faults.CacheControl("max-age=0, must-revalidate"))
	server, err := master.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return newTestClient(t, fmt.Sprintf("sites: [{ name: npm, probe: { every: 1h, fall: 100 }, masters: [{ url: %q, role: primary }], stale: { while_revalidate: 0s } }]", server.URL()), true), master, server
}

func TestRegistryClientsDoNotSteerTheCache(t *testing.T) {
	c, master, _ := npmSite(t)
	tarball := "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
	c.want(c.do(http.MethodGet, tarball), 200)
	for _, control := range []string{"no-cache", "max-age=0", "no-store", "min-fresh=99999999"} {
		c.want(c.do(http.MethodGet, tarball, "Cache-Control: "+control, "Pragma: no-cache"), 200, "Age: *")
	}
	if n := master.Count(faults.Suffix(".tgz")); n != 1 {
		t.Errorf("the master was asked %d times for a tarball", n)
	}
	a := c.do(http.MethodGet, tarball, "Authorization: Bearer t")
	if c.want(a, 200, "!Age", "Cache-Control: private, no-cache"); !strings.Contains(a.Header.Get("Cache-Status"), "fwd=uri-miss") {
		t.Errorf("Cache-Status %q of a request with Authorization", a.Header["Cache-Status"])
	}
}

func TestARegistryIsServedStaleOutLoud(t *testing.T) {
	c, _, server := npmSite(t)
	first := c.do(http.MethodGet, "/edge-sample-words")
	c.want(first, 200)
	server.Refuse()
	for _, want := range []string{"fwd=stale", "hit"} { // the second is not even tried
		a := c.do(http.MethodGet, "/edge-sample-words")
		if status := a.Header.Get("Cache-Status"); a.StatusCode != 200 || a.body != first.body ||
			!strings.Contains(status, "; "+want) || !strings.Contains(status, "detail=stale-error") {
			t.Errorf("status %d, Cache-Status %q; want %s and detail=stale-error", a.StatusCode, status, want)
		}
	}
	c.want(c.do(http.MethodGet, "/edge-sample-greet"), 503, "Proxy-Status: edge; error=connection_refused")
	c.want(c.do(http.MethodGet, "/-/ping"), 200, "Cache-Status: edge; detail=local", "!Proxy-Status")
}
