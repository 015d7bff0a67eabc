package daemon

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// A path that a server could take for one beside the base path of a master does not
// reach it, by any method and in any class.
func TestNoRequestLeavesTheBasePath(t *testing.T) {
	var asked atomic.Int32
	origin := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.RequestURI, "/pub/-/ping") { // a probe
			asked.Add(1)
		}
		io.WriteString(w, r.URL.Path)
	}))
	e := newTestEdge(t, fmt.Sprintf(`sites:
  - { name: files, kind: files, path: /f/, masters: [{ url: "%s/pub", role: primary }] }
  - { name: dist, kind: dist, path: /d/, masters: [{ url: "%s/pub", role: primary }] }
  - { name: npm, kind: npm, path: /npm/, masters: [{ url: "%s/pub", role: primary }]}`, origin, origin, origin), false)
	serveEdge(t, e)
	for _, site := range []string{"/f", "/d", "/npm"} {
		for _, path := range []string{
			"/../private/s.txt", "/%2e%2e/private/s.txt", "/..%2fprivate/s.txt", "/a/..%2f..%2fprivate/s.txt", "/..;/private/s.txt", "/..%5cprivate/s.txt",
			`/..\private\s.txt`, "/%2e%2e%3b/private/s.txt", "/a%00/../../private/s.txt", "/-/%2e%2e/%2e%2e/private/s.txt", "/a/-/..;/..;/..;/private/s.txt",
		} {
			for _, method := range []string{"GET", "HEAD", "PUT", "POST", "OPTIONS"} {
				resp := askHandler(e, method, site+path, nil)
				if resp.Code < 400 || resp.Code > 499 {
					t.Errorf("%s %s: %d %q", method, site+path, resp.Code, resp.Body)
				}
			}
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("a master was asked %d times", n)
	}
}

// HTTP/2 frames a method, a path and a query with any byte in them. HTTP/1 has lines, of
// which a client must not write the rest.
func TestNoByteOfARequestEndsItsLine(t *testing.T) {
	var lines []string
	origin := newOrigin(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		lines = append(lines, r.Method+" "+r.RequestURI)
	}))
	e := newTestEdge(t, fmt.Sprintf(`sites: [{ name: files, kind: files, path: /f/, masters: [{ url: "%s", role: primary }] }]`, origin), false)
	serveEdge(t, e)
	for _, tt := range []struct {
		method, target string
		status         int
		line           string
	}{
		{"GET", "/f/x?a HTTP/1.1 b", http.StatusBadRequest, ""},
		{"PUT", "/f/x?a HTTP/1.1 b", http.StatusBadRequest, ""},
		{"GET", "/f/x HTTP/1.1 b", http.StatusOK, "GET /x%20HTTP/1.1%20b"},
		{"GET", "/f/x?\xe9=\u00e9", http.StatusOK, "GET /x?%E9=%C3%A9"},
		{"GET", "/f/\u00e9", http.StatusOK, "GET /%C3%A9"},
		{"GET", "/f/x?a#b", http.StatusBadRequest, ""},
		{"G T", "/f/x", http.StatusBadRequest, ""},
		{"GET /y HTTP/1.1", "/f/x", http.StatusBadRequest, ""},
		{"G\u00e9T", "/f/x", http.StatusBadRequest, ""},
		{"BREW", "/f/x", http.StatusOK, "BREW /x"},
	} {
		lines = nil
		resp := askHandler(e, tt.method, tt.target, nil)
		if got := strings.Join(lines, "\n"); resp.Code != tt.status || got != tt.line {
			t.Errorf("%q %q: %d, and a master got %q; want %d and %q", tt.method, tt.target, resp.Code, got, tt.status, tt.line)
		}
	}
}

// askHandler gives the handler a request as net/http makes one of HTTP/2's frames.
func askHandler(e *testEdge, method, target string, h http.Header) *httptest.ResponseRecorder {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return &httptest.ResponseRecorder{Code: http.StatusBadRequest} // as net/http answers
	}
	if h == nil {
		h = make(http.Header)
	}
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, &http.Request{
		Method: method, URL: u, RequestURI: target, Host: e.cfg.Listen, RemoteAddr: "127.0.0.1:9",
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: h, Body: http.NoBody,
	})
	return w
}
