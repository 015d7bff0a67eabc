package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"pkgedge/edge/admin"
	"pkgedge/edge/config"
	"pkgedge/edge/limit"
	"pkgedge/edge/report"
	"pkgedge/origin/kind"
	"pkgedge/tls"
)

// A reload builds a new running configuration from the file, swaps the one
// pointer that requests begin at, and stops the old one once nobody uses it:
//
//	file ──► cfg ──► may all of it change? ──► build ──► certificate ──► swap ──► stop the old
//	           └──────────── no: every reason, and the old goes on ◄──┘
//
// Nothing is dropped: a request keeps what it began with, and so does a fetch,
// which may outlive its request (docs/decisions/0010).

// maxEnding is how many earlier configurations may still have requests. They are
// small; what bounds them is that a reload in a loop must not pile up masters'
// connections.
const maxEnding = 16

// reloader reloads for the admin listener.
type reloader struct{ *edge }

// Reload reads the configuration again, and puts it to work or says why not.
func (e reloader) Reload(ctx context.Context) (admin.Reloaded, error) { return e.reload(ctx) }

// reload is for one at a time. Its error is an *admin.Refused or ErrNotNow.
func (e *edge) reload(ctx context.Context) (admin.Reloaded, error) {
	end, err := e.turn(ctx)
	if err != nil {
		return admin.Reloaded{}, err
	}
	defer end()
	if err := e.ready(); err != nil {
		return admin.Reloaded{}, fmt.Errorf("%w: the edge is %w", admin.ErrNotNow, err)
	}
	begun := time.Now()
	done, err := e.replace()
	refused := (*admin.Refused)(nil)
	switch {
	case err == nil:
		e.history.accepted(done.Config, begun)
		e.log.Info("reloaded", "config", done.Config, "changed", strings.Join(orNothing(done.Changed), ", "), "took", time.Since(begun).Round(time.Microsecond))
		for _, w := range done.Warnings {
			e.log.Warn(w)
		}
	case errors.As(err, &refused):
		e.history.refused(refused.Mistakes, begun)
		for _, m := range refused.Mistakes {
			e.log.Error("reload refused, the configuration in use stays", "mistake", m)
		}
	default:
		e.log.Error("reload failed, the configuration in use stays", "error", err)
	}
	return done, err
}

// turn waits until nobody else changes what is running. The caller ends it.
func (e *edge) turn(ctx context.Context) (end func(), err error) {
	select {
	case e.turns <- struct{}{}:
		return func() { <-e.turns }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", admin.ErrNotNow, context.Cause(ctx))
	}
}

// replace puts a new configuration in the place of the one in use.
func (e *edge) replace() (admin.Reloaded, error) {
	cfg, lines, err := e.source.Reload()
	if err != nil {
		return admin.Reloaded{}, &admin.Refused{Mistakes: strings.Split(err.Error(), "\n")}
	}
	old := e.handler.running.Load()
	changed, fixed := config.Compare(old.cfg, cfg)
	if len(fixed) > 0 {
		refused := new(admin.Refused)
		for _, key := range fixed {
			refused.Mistakes = append(refused.Mistakes, e.source.Problem(lines, key, "cannot change while the edge runs: restart to change "+key))
		}
		return admin.Reloaded{}, refused
	}
	if len(e.generations()) > maxEnding {
		return admin.Reloaded{}, fmt.Errorf("%w: %d earlier configurations still have requests", admin.ErrNotNow, maxEnding)
	}
	next, err := e.build(cfg, old)
	if err != nil {
		return admin.Reloaded{}, err
	}
	if e.certs != nil {
		renewed, err := e.certs.Reload(tls.Certificate{Cert: cfg.TLS.Cert, Key: cfg.TLS.Key})
		if err != nil {
			next.abandon()
			return admin.Reloaded{}, &admin.Refused{Mistakes: []string{e.source.Problem(lines, "tls.certificate", err.Error())}}
		}
		if renewed {
			changed = append(changed, "the certificate")
		}
	}
	e.level.Set(cfg.Log.Level)
	e.begin(next)
	e.retire(old, next)
	return admin.Reloaded{Config: e.source.Name(), Changed: orEmpty(changed), Warnings: cfg.Warnings()}, nil
}

// begin has requests begin with c.
func (e *edge) begin(c *running) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inUse = append(e.inUse, c)
	e.handler.running.Store(c)
	e.feeds.begin(c.sites)
}

// retire stops c once its requests have ended, and those of its sites that next
// has not once their fetches have ended too. next is nil for none.
func (e *edge) retire(c, next *running) {
	gone := c.sites
	if next != nil {
		gone = slices.DeleteFunc(slices.Clone(c.sites), func(s *site) bool { return slices.Contains(next.sites, s) })
	}
	e.stopping.Go(func() {
		c.lease.drop()
		<-c.lease.ended
		for _, s := range c.sites {
			s.lease.drop()
		}
		for _, s := range gone {
			<-s.lease.ended
			s.close()
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.inUse = slices.DeleteFunc(e.inUse, func(other *running) bool { return other == c })
	})
}

// generations are the configuration that serves, which is the last, and the
// earlier ones that still have requests or fetches.
func (e *edge) generations() []*running {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.inUse)
}

// endingSites are the sites of that name which only earlier configurations have.
func (e *edge) endingSites(name string) []*site {
	all := e.generations()
	if len(all) == 0 {
		return nil
	}
	var ending []*site
	now, _ := all[len(all)-1].site(name)
	for _, c := range all[:len(all)-1] {
		if s, ok := c.site(name); ok && s != now && !slices.Contains(ending, s) {
			ending = append(ending, s)
		}
	}
	return ending
}

// abandon stops what was built and never served.
func (c *running) abandon() {
	for _, s := range c.sites {
		s.lease.drop()
		select {
		case <-s.lease.ended:
			s.close()
		default: // the configuration in use has it too
		}
	}
}

// site finds a site by its name.
func (c *running) site(name string) (*site, bool) {
	i := slices.IndexFunc(c.sites, func(s *site) bool { return s.name == name })
	if i < 0 {
		return nil, false
	}
	return c.sites[i], true
}

// sameSite says whether a site would be built as old has it, so that it can go
// on as it is: its connections, and all it knows of its masters.
func sameSite(old, cfg *config.Config, s *config.Site) bool {
	i := slices.IndexFunc(old.Sites, func(o config.Site) bool { return o.Name == s.Name })
	return i >= 0 && old.Sites[i].Equal(s) &&
		old.Public(&old.Sites[i]).String() == cfg.Public(s).String() && old.Cache.MaxMetadata == cfg.Cache.MaxMetadata
}

// adopt takes over what old, the site in an earlier configuration, knows of the
// masters.
func (s *site) adopt(old *site) {
	before := old.upstreams()
	for _, u := range s.upstreams() {
		if i := slices.IndexFunc(before, func(b *upstream) bool { return b.scope == u.scope }); i >= 0 {
			u.Adopt(before[i].Site, func(path string) bool { return s.owns(u, path) })
		}
	}
}

// owns says that a path below the site is a matter of u, as its scopes are now.
func (s *site) owns(u *upstream, path string) bool {
	now, ok := s.upstream(s.own.Route(kind.Request{Method: http.MethodGet, Path: path, Header: http.Header{}}))
	return ok && now == u
}

// limiterOf keeps the clients' budgets where nothing about them has changed.
func limiterOf(c *config.Config, old *running) *limit.Limiter {
	of := func(l config.Limits) limit.Config {
		return limit.Config{Rate: l.Rate, Burst: l.Burst, Exempt: l.Exempt}
	}
	if old != nil && reflect.DeepEqual(of(old.cfg.Limits), of(c.Limits)) {
		return old.limiter
	}
	return limit.New(of(c.Limits))
}

// history is what became of the configuration's file.
type history struct {
	mu  sync.Mutex
	now report.Config
}

func (h *history) status() report.Config {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *history) accepted(file string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = report.Config{File: file, Read: at.UTC().Truncate(time.Second)}
}

func (h *history) refused(mistakes []string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now.Refused, h.now.Mistakes = at.UTC().Truncate(time.Second), mistakes
}

func orNothing(words []string) []string {
	if len(words) == 0 {
		return []string{"nothing"}
	}
	return words
}

func orEmpty(words []string) []string {
	if words == nil {
		return []string{}
	}
	return words
}
