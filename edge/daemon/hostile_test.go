package daemon

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pkgedge/edge/edgetest"
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

// A client that begins an upload and goes silent holds no place at a master: others
// publish meanwhile.
func TestIdleUploadsHoldNoPlace(t *testing.T) {
	var asked atomic.Int32
	origin := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			asked.Add(1)
			io.Copy(io.Discard, r.Body)
		}
	}))
	e := newTestEdge(t, fmt.Sprintf(`sites: [{ name: npm, path: /npm/, probe: { every: 1h }, masters: [{ url: "%s", role: primary }] }]`, origin), false)
	serveEdge(t, e)
	var idle sync.WaitGroup
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	for i := range 200 {
		body := &silent{begun: make(chan struct{}), until: hold}
		idle.Go(func() {
			if resp := sendHandler(e, fmt.Sprintf("192.0.2.%d:9", i), "PUT", "/npm/name", body); resp.Code != http.StatusBadRequest {
				t.Errorf("an upload that was cut: %d", resp.Code)
			}
		})
		edgetest.Receive(t, body.begun, "a read of an idle upload")
	}
	if resp := sendHandler(e, "198.51.100.1:9", "PUT", "/npm/name", io.NopCloser(strings.NewReader(`{}`))); resp.Code != http.StatusOK {
		t.Errorf("a publish beside them: %d %q", resp.Code, resp.Body)
	}
	release()
	idle.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("the master was asked %d times; want 1", n)
	}
}

// silent is a body that does not come.
type silent struct {
	once         sync.Once
	begun, until chan struct{}
}

func (s *silent) Read([]byte) (int, error) {
	s.once.Do(func() { close(s.begun) })
	<-s.until
	return 0, io.ErrUnexpectedEOF
}

func (s *silent) Close() error { return nil }

// One client that fills the places of requests that are passed is told to wait, and others
// are not.
func TestOneClientLeavesPlacesToOthers(t *testing.T) {
	hold := make(chan struct{})
	var held atomic.Int32
	origin := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/slow") {
			held.Add(1)
			<-hold
		}
	}))
	e := newTestEdge(t, fmt.Sprintf(`sites: [{ name: npm, path: /npm/, probe: { every: 1h }, timeouts: { first_byte: 20ms, write: 1m }, masters: [{ url: "%s", role: primary }] }]`, origin), false)
	serveEdge(t, e)
	var greedy sync.WaitGroup
	defer greedy.Wait()
	defer close(hold)
	for range 64 {
		greedy.Go(func() { sendHandler(e, "[2001:db8::1]:9", "PUT", "/npm/slow", http.NoBody) })
	}
	edgetest.Until(t, "64 requests at the master", func() bool { return held.Load() == 64 })
	resp := sendHandler(e, "[2001:db8::2]:9", "PUT", "/npm/name", http.NoBody)
	if resp.Code != http.StatusTooManyRequests || resp.Header().Get("Retry-After") == "" {
		t.Errorf("one more of the client: %d, %v", resp.Code, resp.Header())
	}
	if resp := sendHandler(e, "192.0.2.1:9", "PUT", "/npm/name", http.NoBody); resp.Code != http.StatusOK {
		t.Errorf("another client: %d %q", resp.Code, resp.Body)
	}
}

// sendHandler gives the handler a request of a client.
func sendHandler(e *testEdge, client, method, path string, body io.ReadCloser) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := &http.Request{
		Method: method, URL: &url.URL{Path: path}, Host: e.cfg.Listen, RemoteAddr: client,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header), Body: body, ContentLength: -1,
	}
	if body == http.NoBody {
		r.ContentLength = 0
	}
	e.handler.ServeHTTP(w, r)
	return w
}

// A client may close its own direction, and wait for the answer. It never gets an empty
// 200 in place of one.
func TestHalfClosedClientsGetTheAnswerOrNone(t *testing.T) {
	const text = "the whole of it"
	origin := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		io.WriteString(w, text)
	}))
	e := newTestEdge(t, fmt.Sprintf(`sites: [{ name: files, kind: files, path: /f/, masters: [{ url: "%s", role: primary }] }]`, origin), false)
	serveEdge(t, e)
	for i := range 20 {
		for _, version := range []string{"1.0", "1.1"} {
			status, body := e.raw(t, fmt.Sprintf("GET /f/%d HTTP/%s\r\nHost: h\r\n\r\n", i/2, version))
			if status != 0 && (status != http.StatusOK || body != text) {
				t.Errorf("%d %q", status, body)
			}
		}
	}
}
