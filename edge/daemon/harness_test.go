package daemon

import (
	"context"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/server"
	"pkgedge/origin/kind"
	"pkgedge/origin/kinds"
)

// testEdge is a daemon with one listener, whose handler a test may replace before it
// is served.
type testEdge struct {
	*Daemon
	listener *server.Listener
}

// newTestEdge opens an edge as Run does, on a free port, with the configuration in
// text completed for a test. It knows the kinds of the program, and further ones.
func newTestEdge(t testing.TB, text string, disk bool, further ...kind.Descriptor) *testEdge {
	t.Helper()
	cfg := configured(t, "admin: { listen: '' }\nlog: { access: 'off' }\n"+text, further...)
	cfg.Cache.Memory, cfg.Cache.Dir = 1<<20, fastDir(t)
	if !disk {
		cfg.Cache.Disk = 0
	}
	e := newTestDaemon(t, cfg, edgetest.QuietLog())
	cfg.PublicURL = &url.URL{Scheme: "http", Host: cfg.Listen}
	e.openTestCache(t)
	return e
}

// newTestDaemon is a daemon with a listener on a free port, and without a cache.
func newTestDaemon(t testing.TB, cfg *config.Config, log *slog.Logger) *testEdge {
	t.Helper()
	d := newDaemon(Options{Config: cfg, Out: io.Discard, Log: log, Level: new(slog.LevelVar)})
	d.server.DrainLimit = 0
	l, err := d.server.Open(t.Context(), "listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.openLane(1 << 20)
	d.servePublic(l)
	cfg.Listen = l.Addr().String()
	return &testEdge{d, l}
}

// fastDir is a directory in memory where the system has such a file system: the
// table opens the disk tier a thousand times.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "edge-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// openTestCache gives e a cache and all that is built upon it.
func (e *testEdge) openTestCache(t testing.TB) {
	t.Helper()
	if err := e.openCache(nil); err != nil {
		t.Fatal(err)
	}
	if err := e.openFleet(); err != nil {
		t.Fatal(err)
	}
	g, err := e.build(e.cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.use(g)
	e.startFleet(t.Context())
}

// reopenCache is openTestCache for an edge that has closed its cache: the sites are
// built anew.
func (e *testEdge) reopenCache(t testing.TB) {
	t.Helper()
	e.openTestCache(t)
}

// serveEdge serves e's listener until the test ends.
func serveEdge(t testing.TB, e *testEdge) {
	t.Cleanup(e.serve())
}

// serve serves e's listener until it is stopped, once.
func (e *testEdge) serve() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = e.server.Run(ctx, func() {}) // an error means that requests were cut
	}()
	return sync.OnceFunc(func() {
		cancel()
		<-served
		e.close()
	})
}

// settle waits until no fetch is under way.
func (e *testEdge) settle(t testing.TB) {
	t.Helper()
	edgetest.Until(t, "the end of all fetches", func() bool { return e.cache.Usage().Flights == 0 })
}

// decode reads a configuration from the text of a file.
func decode(t testing.TB, text string, further ...kind.Descriptor) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	edgetest.WriteFile(t, path, text)
	return config.Load(path, append(kinds.All(), further...), edgetest.NoEnv)
}

func configured(t testing.TB, text string, further ...kind.Descriptor) *config.Config {
	t.Helper()
	cfg, err := decode(t, text, further...)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
