package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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
	"sync/atomic"

	"pkgedge/cache"
	"pkgedge/edge/admin"
	"pkgedge/edge/limit"
	"pkgedge/origin/sample"
	"pkgedge/tls"
)

// edge is the whole program at work: everything that a configuration starts.
type edge struct {
	cfg     *Config
	log     *slog.Logger
	handler handler
	metrics *admin.Metrics
	cache   *cache.Cache
	samples []*sample.Server
	certs   *tls.Manager // nil without TLS
	server  *server
	state   atomic.Pointer[error] // why /readyz says no; nil when ready
}

var (
	errStarting = errors.New("starting")
	errDraining = errors.New("draining")
)

// serve runs cfg until ctx is done, and then drains.
func serve(ctx context.Context, cfg *Config, out io.Writer, log *slog.Logger) error {
	e := &edge{cfg: cfg, log: log, server: newServer(log)}
	defer e.close()
	e.state.Store(&errStarting)
	if err := e.start(ctx, out); err != nil {
		return err
	}
	e.state.Store(nil)
	return e.server.run(ctx, func() { e.state.Store(&errDraining) })
}

// start opens everything, or says what cannot be opened.
func (e *edge) start(ctx context.Context, out io.Writer) error {
	info, _ := debug.ReadBuildInfo()
	e.metrics = admin.NewMetrics(version(info))
	var err error
	e.cache, err = cache.Open(cache.Config{
		Memory: e.cfg.Cache.Memory, Disk: e.cfg.Cache.Disk, Dir: e.cfg.Cache.Dir, MaxObject: e.cfg.Cache.MaxObject,
		Notify: func(op string, err error) { e.log.Warn("cache trouble", "op", op, "error", err) },
	})
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	boundMemory(e.cfg.Cache.Memory)
	e.measure()
	if err := e.startSamples(); err != nil {
		return err
	}
	c, err := e.build(out)
	if err != nil {
		return err
	}
	e.handler.running.Store(c)
	if err := e.listen(ctx); err != nil {
		return err
	}
	return welcome(out, e.cfg, len(e.samples) > 0)
}

// startSamples starts two embedded masters for a site that names none.
func (e *edge) startSamples() error {
	for i := range e.cfg.Sites {
		s := &e.cfg.Sites[i]
		if len(s.Masters) > 0 {
			continue
		}
		store, err := sample.Samples()
		if err != nil {
			return fmt.Errorf("cannot make the sample packages: %w", err)
		}
		for _, role := range []Role{RolePrimary, RoleReplica} {
			m, err := sample.NewMaster(store).Start()
			if err != nil {
				return fmt.Errorf("cannot start a sample master: %w", err)
			}
			e.samples = append(e.samples, m)
			u, err := url.Parse(m.URL())
			if err != nil {
				return err
			}
			s.Masters = append(s.Masters, Master{URL: u, Role: role})
		}
	}
	return nil
}

// build makes what a request needs of the configuration.
func (e *edge) build(out io.Writer) (*running, error) {
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	c := &running{
		cache: e.cache,
		limiter: limit.New(limit.Config{
			Rate: e.cfg.Limits.Rate, Burst: e.cfg.Limits.Burst, Exempt: e.cfg.Limits.Exempt,
		}),
		trusted:  e.cfg.Limits.TrustedProxies,
		metrics:  e.metrics,
		access:   newAccessLog(e.cfg.Log.Access, out),
		identity: "edge-" + hex.EncodeToString(id[:]),
		names:    []string{strings.ToLower(e.cfg.PublicURL.Host), e.cfg.Listen},
	}
	for i := range e.cfg.Sites {
		s, err := newSite(e.cfg, &e.cfg.Sites[i], e.cache, c.identity, e.metrics.Origin, e.log)
		if err != nil {
			for _, s := range c.sites {
				s.origin.Close()
			}
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
			Purger: purger{&e.handler}, Drainer: drainer{&e.handler}, Status: e.status, Ready: e.ready,
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
	e.server.close()
	if e.certs != nil {
		e.certs.Close()
	}
	if e.cache != nil {
		if err := e.cache.Close(); err != nil {
			e.log.Warn("cache did not close cleanly", "error", err)
		}
	}
	if c := e.handler.running.Load(); c != nil {
		for _, s := range c.sites {
			s.origin.Close()
		}
	}
	for _, s := range e.samples {
		s.Close()
	}
}

func (e *edge) ready() error {
	if why := e.state.Load(); why != nil {
		return *why
	}
	return nil
}

var _ http.Handler = (*handler)(nil)

// headroom is what the program takes beside its cache: connections, fills, and
// the collector's own slack.
const headroom = 64 << 20

// boundMemory has the collector work harder rather than let memory pass the
// budget: without it the garbage of a storm of misses counts several times what
// is kept (docs/decisions/0008 has the figures). GOMEMLIMIT wins.
func boundMemory(budget int64) {
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(budget + headroom)
	}
}
