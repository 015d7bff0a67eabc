package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/budget"
	"pkgedge/edge/admin"
	"pkgedge/edge/command"
	"pkgedge/edge/config"
	"pkgedge/origin"
	"pkgedge/origin/sample"
	"pkgedge/tls"
)

// edge is the whole program at work: everything that a configuration starts.
type edge struct {
	cfg       *config.Config // what it began with; the one that serves is the handler's
	source    config.Source  // where the configuration is read again
	log       *slog.Logger
	level     *slog.LevelVar // of log
	out       io.Writer      // for the access log
	version   string
	started   time.Time
	identity  string // this edge's name in Via and CDN-Loop
	handler   handler
	metrics   *admin.Metrics
	cache     *cache.Cache
	documents *origin.Documents
	samples   []*sample.Server // embedded masters; once started they stay
	certs     *tls.Manager     // nil without TLS
	server    *server
	state     atomic.Pointer[error] // why /readyz says no; nil when ready

	turns    chan struct{} // room for the one that changes what is running
	history  history
	stopping sync.WaitGroup // configurations that were replaced

	mu    sync.Mutex
	inUse []*running // see generations

	feeds feeds
}

// newEdge makes an edge of which nothing is open yet.
func newEdge(cfg *config.Config, out io.Writer, log *slog.Logger) *edge {
	return &edge{
		cfg: cfg, out: &writer{to: out}, log: log, level: new(slog.LevelVar), version: command.Version(), started: time.Now(),
		identity: "edge-" + strings.ToLower(rand.Text()[:12]), metrics: admin.NewMetrics(command.Version()), server: newServer(log),
		turns: make(chan struct{}, 1),
	}
}

// writer is for the access logs of several configurations at once.
type writer struct {
	mu sync.Mutex
	to io.Writer
}

func (w *writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(line)
}

var (
	errStarting = errors.New("starting")
	errDraining = errors.New("draining")
)

// serve runs the configuration cfg, which came from, until ctx is done, and then
// drains. SIGHUP has it read again.
func serve(ctx context.Context, cfg *config.Config, from config.Source, out io.Writer, log *slog.Logger, level *slog.LevelVar) error {
	e := newEdge(cfg, out, log)
	e.source, e.level = from, level
	ctx, stop := context.WithCancel(ctx)
	var hangups sync.WaitGroup
	defer hangups.Wait()
	defer stop()
	defer e.close()
	e.state.Store(&errStarting)
	hups := newHangups()
	defer hups.stop()
	if err := e.start(ctx); err != nil {
		return err
	}
	e.state.Store(nil)
	hangups.Go(func() { e.onHangup(ctx, hups, stop) })
	return e.server.run(ctx, func() { e.state.Store(&errDraining) })
}

// start opens everything, or says what cannot be opened.
func (e *edge) start(ctx context.Context) error {
	var err error
	e.cache, err = cache.Open(cache.Config{
		Memory: e.cfg.Cache.Memory, Disk: e.cfg.Cache.Disk, Dir: e.cfg.Cache.Dir, MaxObject: e.cfg.Cache.MaxObject,
		Notify: func(op string, err error) { e.log.Warn("cache trouble", "op", op, "error", err) },
	})
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	shares := budget.Split(e.cfg.Cache.Memory)
	boundMemory(shares.Limit)
	e.documents = origin.NewDocuments(shares.Documents, e.cache)
	e.measure()
	c, err := e.build(e.cfg, nil)
	if err != nil {
		return err
	}
	e.begin(c)
	e.history.accepted(e.source.Name(), e.started)
	if err := e.listen(ctx); err != nil {
		return err
	}
	return welcome(e.out, e.cfg, len(e.samples) > 0)
}

// sampleMasters are the embedded masters, for a site that names none. They are
// started for the first one that needs them.
func (e *edge) sampleMasters() ([]config.Master, error) {
	roles := []config.Role{config.RolePrimary, config.RoleReplica}
	if len(e.samples) == 0 {
		store, err := sample.Samples()
		if err != nil {
			return nil, fmt.Errorf("cannot make the sample packages: %w", err)
		}
		for range roles {
			m, err := sample.NewMaster(store, sample.Options{}).Start()
			if err != nil {
				return nil, fmt.Errorf("cannot start a sample master: %w", err)
			}
			e.samples = append(e.samples, m)
		}
	}
	var masters []config.Master
	for i, m := range e.samples {
		u, err := url.Parse(m.URL())
		if err != nil {
			return nil, err
		}
		masters = append(masters, config.Master{URL: u, Role: roles[i]})
	}
	return masters, nil
}

// build makes what a request needs of a configuration. What has not changed
// since old, which may be nil, is taken from there.
func (e *edge) build(cfg *config.Config, old *running) (*running, error) {
	c := &running{
		lease:    newLease(),
		cfg:      cfg,
		cache:    e.cache,
		limiter:  limiterOf(cfg, old),
		trusted:  cfg.Limits.TrustedProxies,
		metrics:  e.metrics,
		access:   newAccessLog(cfg.Log.Access, e.out),
		identity: e.identity,
		names:    []string{strings.ToLower(cfg.PublicURL.Host), cfg.Listen},
	}
	for i := range cfg.Sites {
		s, err := e.site(cfg, &cfg.Sites[i], old)
		if err != nil {
			c.abandon()
			return nil, err
		}
		c.sites = append(c.sites, s)
		c.names = append(c.names, s.hosts...)
	}
	// The longest prefix first, and of equal ones those bound to host names.
	slices.SortStableFunc(c.sites, func(a, b *site) int {
		if d := len(b.prefix) - len(a.prefix); d != 0 {
			return d
		}
		return len(b.hosts) - len(a.hosts)
	})
	return c, nil
}

// site is the one that old has, or a new one that knows what that knew.
func (e *edge) site(cfg *config.Config, s *config.Site, old *running) (*site, error) {
	var before *site
	if old != nil {
		before, _ = old.site(s.Name)
	}
	if before != nil && sameSite(old.cfg, cfg, s) {
		before.lease.take() // old has it
		return before, nil
	}
	masters := *s
	if len(s.Masters) == 0 {
		var err error
		if masters.Masters, err = e.sampleMasters(); err != nil {
			return nil, err
		}
	}
	now, err := e.newSite(cfg, &masters)
	if err == nil && before != nil {
		now.adopt(before)
	}
	if err == nil {
		now.follow(s, &e.feeds, cfg.Cache.Dir, e.log)
	}
	return now, err
}

// listen opens the listeners and gives each its handler.
func (e *edge) listen(ctx context.Context) error {
	if e.cfg.Listen != "" {
		l, err := e.server.open(ctx, "listen", e.cfg.Listen)
		if err != nil {
			return err
		}
		l.handler = &e.handler
	}
	if e.cfg.Admin.Listen != "" {
		l, err := e.server.open(ctx, "admin.listen", e.cfg.Admin.Listen)
		if err != nil {
			return err
		}
		l.handler = admin.New(admin.Config{
			Token: e.cfg.Admin.Token, Listen: e.cfg.Admin.Listen,
			Purger: purger{&e.handler}, Drainer: drainer{e}, Reloader: reloader{e}, Status: e.status, Ready: e.ready,
			Metrics: e.metrics.Handler(), Logger: e.log,
		})
	}
	if e.cfg.TLS.Listen == "" {
		return nil
	}
	l, err := e.server.open(ctx, "tls.listen", e.cfg.TLS.Listen)
	if err != nil {
		return err
	}
	e.certs, err = tls.New(tls.Config{
		Certificate: tls.Certificate{Cert: e.cfg.TLS.Cert, Key: e.cfg.TLS.Key},
		Domains:     e.cfg.TLS.Domains, Email: e.cfg.TLS.Email, CA: e.cfg.TLS.CA,
		Dir:    filepath.Join(e.cfg.Cache.Dir, "certificates"),
		Listen: l.Addr().String(), Logger: e.log,
	})
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	l.handler, l.tls = &e.handler, e.certs.TLSConfig()
	if err := e.certs.Start(ctx); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	return nil
}

// close stops what start opened, in the other order. Requests have ended.
func (e *edge) close() {
	e.turns <- struct{}{} // a reload under way ends first, and there is none after
	e.server.close()
	if e.certs != nil {
		e.certs.Close()
	}
	e.feeds.close()
	if e.cache != nil {
		if err := e.cache.Close(); err != nil {
			e.log.Warn("cache did not close cleanly", "error", err)
		}
	}
	if c := e.handler.running.Load(); c != nil {
		e.retire(c, nil)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		e.stopping.Wait()
	}()
	select {
	case <-stopped:
	case <-time.After(closeLimit): // a request that was cut has not noticed yet
	}
	for _, s := range e.samples {
		s.Close()
	}
}

// closeLimit is how long requests that were cut may take to notice.
const closeLimit = 5 * time.Second

func (e *edge) ready() error {
	if why := e.state.Load(); why != nil {
		return *why
	}
	return nil
}

var _ http.Handler = (*handler)(nil)

// boundMemory has the collector work harder rather than let memory pass the
// budget: without it the garbage of a storm of misses counts several times what
// is kept (docs/decisions/0008 has the figures). GOMEMLIMIT wins.
func boundMemory(limit int64) {
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(limit)
	}
}
