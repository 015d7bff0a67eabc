package tls

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// servePlain serves plain HTTP on l as the edge does, with another handler behind that of the
// challenges.
func servePlain(t *testing.T, l net.Listener, m *Manager) {
	t.Helper()
	srv := &http.Server{
		Handler:  m.Challenges(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "next "+r.URL.Path) })),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	var serving sync.WaitGroup
	serving.Go(func() { srv.Serve(l) })
	t.Cleanup(func() {
		srv.Close()
		serving.Wait()
	})
}

// The CA comes to the plain listener, and the encrypted one cannot be reached by it.
func TestChallengeByHTTP(t *testing.T) {
	plain, l := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	c := startCAWith(t, 1, plain.Addr().(*net.TCPAddr).Port, map[string]time.Duration{"default": 90 * day})
	const name = "edge.example"
	log := newWatch()
	m := startWith(t, c, t.TempDir(), l, log, func(cfg *Config) {
		cfg.Domains, cfg.Plain, cfg.Challenges = []string{name}, plain.Addr().String(), []Challenge{HTTP}
	})
	if slices.Contains(m.TLSConfig().NextProtos, acmeProtocol) {
		t.Error("a challenge is offered that the configuration leaves out")
	}
	servePlain(t, plain, m)
	serve(t, l, m)
	log.until(t, func() error {
		_, err := serial(c, l.Addr().String(), name)
		return err
	})
}

// With both challenges a closed port is no reason to fail: the other one is tried.
func TestChallengeByTheOpenPort(t *testing.T) {
	plain, l := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	c := startCAWith(t, l.Addr().(*net.TCPAddr).Port, 1, map[string]time.Duration{"default": 90 * day})
	const name = "edge.example"
	log := newWatch()
	m := startWith(t, c, t.TempDir(), l, log, func(cfg *Config) {
		cfg.Domains, cfg.Plain, cfg.Challenges = []string{name}, plain.Addr().String(), []Challenge{TLSALPN, HTTP}
	})
	servePlain(t, plain, m)
	serve(t, l, m)
	log.eventually(t, func() error {
		_, err := serial(c, l.Addr().String(), name)
		return err
	})
}

// A challenge that is not ours goes to the handler behind, and costs no look-up but a few.
func TestOtherChallengesAreNotOurs(t *testing.T) {
	dir := t.TempDir()
	m, err := New(Config{
		Domains: []string{"edge.example"}, OnDemand: []string{"later.example"}, Challenges: []Challenge{HTTP}, Plain: "127.0.0.1:80", Listen: "127.0.0.1:443",
		Dir: dir, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	asked := 0
	h := m.Challenges(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	for _, tt := range []struct{ method, host, path string }{
		{"GET", "edge.example", "/left-pad"},
		{"GET", "edge.example", challengePath + "token"},
		{"GET", "edge.example:80", challengePath + "../../accounts"},
		{"POST", "edge.example", challengePath + "token"},
		{"GET", "other.example", challengePath + "token"},
		{"GET", "../../../etc/passwd", challengePath + "token"},
		{"GET", "", challengePath},
	} {
		before := asked
		r := httptest.NewRequest(tt.method, "/", nil)
		r.Host, r.URL.Path = tt.host, tt.path
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); asked != before+1 || w.Body.Len() > 0 {
			t.Errorf("%s %s of %s is answered %q", tt.method, tt.path, tt.host, w.Body)
		}
	}
	if m.domain.mayAsk("other.example") || m.domain.mayAsk("") {
		t.Error("a name that is not ours is looked up")
	}
	looked := 0
	for range 1000 {
		if m.domain.mayAsk("EDGE.example") {
			looked++
		}
	}
	if looked == 0 || looked > 100 {
		t.Errorf("%d of 1000 requests for a challenge that nobody began are looked up", looked)
	}
}
