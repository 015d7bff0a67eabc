package daemon

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
)

// proxied is an edge behind proxies of this machine, and its origin.
func proxied(t *testing.T, limits string) (e *testEdge, seen func() http.Header) {
	t.Helper()
	fields := make(chan http.Header, 100)
	origin := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fields <- r.Header
		w.Header().Set("Cache-Control", "max-age=3600")
		io.WriteString(w, "file")
	}))
	e = newTestEdge(t, fmt.Sprintf(`limits: { trusted_proxies: [127.0.0.0/8], proxy_protocol: require, %s }
sites: [{ name: files, kind: files, path: /f/, probe: { every: 1h }, masters: [{ url: "%s", role: primary }] }]`, limits, origin), false)
	serveEdge(t, e)
	return e, func() http.Header { return edgetest.Receive(t, fields, "a request to the origin") }
}

// from sends requests over a connection of a client, each when the one before is answered,
// and returns the statuses.
func (e *testEdge) from(t *testing.T, client string, requests ...string) string {
	t.Helper()
	c, err := net.Dial("tcp", e.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	header := "PROXY UNKNOWN\r\n"
	if client != "" {
		header = "PROXY TCP4 " + client + " 198.51.100.1 4660 80\r\n"
	}
	return answersOf(t, c, append([]string{header + requests[0]}, requests[1:]...)...)
}

// The budget is that of the client which the proxy names, with the lane and without.
func TestLimitsBehindAProxy(t *testing.T) {
	e, _ := proxied(t, "rate: 0.001, burst: 20")
	hit := wireGet("/f/a")
	if got := e.from(t, "192.0.2.1", hit, hit, hit); got != "200 200 200" {
		t.Fatalf("got %s", got)
	}
	got := e.from(t, "192.0.2.1", slices.Repeat([]string{hit}, 20)...)
	if !strings.HasSuffix(got, "429") {
		t.Errorf("a client that has spent its budget: %s", got)
	}
	// A field of the client does not make another client of it.
	if got := e.from(t, "192.0.2.1", wireGet("/f/a", "X-Forwarded-For: 192.0.2.77"), wireGet("/f/a", "Forwarded: for=192.0.2.77")); got != "429 429" {
		t.Errorf("with another address in a field: %s", got)
	}
	if got := e.from(t, "192.0.2.2", hit, hit); got != "200 200" {
		t.Errorf("another client behind the same proxy: %s", got)
	}
	if got := e.from(t, "", wireGet("/f/a", "X-Forwarded-For: 192.0.2.1")); got != "200" {
		t.Errorf("the proxy's own connection, with a field: %s", got)
	}
}

// A master hears of the client that the proxy names, and nothing of a client's own fields.
func TestForwardedFieldsBehindAProxy(t *testing.T) {
	e, seen := proxied(t, "rate: 0")
	made := []string{
		"X-Forwarded-For: 203.0.113.1", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 1", "Forwarded: for=203.0.113.1;host=evil.example",
		"X-Real-IP: 203.0.113.1", "True-Client-IP: 203.0.113.1", "X_Forwarded_Host: evil.example", "X-Original-URL: /evil", "CF-Connecting-IP: 203.0.113.1",
	}
	for _, request := range []string{wireGet("/f/a", made...), wireHead("PUT", "/f/a", append(made, "Content-Length: 0")...)} {
		e.from(t, "192.0.2.1", request)
		h := seen()
		for name, values := range h {
			if text := strings.Join(values, " "); strings.Contains(text, "203.0.113") || strings.Contains(text, "evil") {
				t.Errorf("the master got %s: %s", name, text)
			}
		}
		if got := h.Get("X-Forwarded-For"); strings.HasPrefix(request, "PUT") && got != "192.0.2.1" {
			t.Errorf("the master got X-Forwarded-For: %q", got)
		}
	}
}
