package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"pkgedge/edge/admin"
	"pkgedge/edge/admin/page"
	"pkgedge/edge/config/diff"
	"pkgedge/edge/report"
	"pkgedge/tls"
)

// A reload builds a new generation from the file, has requests begin with it, and
// ends the supervision of the masters by the old one:
//
//	file ──► cfg ──► may all of it change? ──► build ──► certificate ──► use ──► close the old
//	           └──────────── no: every reason, and the old goes on ◄──┘
//
// Nothing is dropped: a request keeps the generation that it began with, and so
// does a fetch, which may outlive its request (docs/decisions/0010). The old and
// the new generation know the same masters (docs/decisions/0014).

// reloader reloads for the admin listener.
type reloader struct{ *Daemon }

// Reload reads the configuration again, and puts it to work or says why not.
func (r reloader) Reload(ctx context.Context) (admin.Reloaded, error) { return r.reload(ctx) }

// reload is for one at a time. Its error is an *admin.Refused or ErrNotNow.
func (d *Daemon) reload(ctx context.Context) (admin.Reloaded, error) {
	release, err := d.lockReload(ctx)
	if err != nil {
		return admin.Reloaded{}, err
	}
	defer release()
	if err := d.ready(); err != nil {
		return admin.Reloaded{}, fmt.Errorf("%w: the edge is %w", admin.ErrNotNow, err)
	}
	begun := time.Now()
	done, err := d.replace()
	refused := (*admin.Refused)(nil)
	switch {
	case err == nil:
		d.reloads.accepted(done.Config, begun)
		d.reloads.add(page.Reload{At: begun.UTC(), Changed: done.Changed})
		d.log.Info("reloaded", "config", done.Config, "changed", strings.Join(orNothing(done.Changed), ", "), "took", time.Since(begun).Round(time.Microsecond))
		for _, w := range done.Warnings {
			d.log.Warn(w)
		}
	case errors.As(err, &refused):
		d.reloads.refused(refused.Mistakes, begun)
		d.reloads.add(page.Reload{At: begun.UTC(), Mistakes: refused.Mistakes})
		for _, m := range refused.Mistakes {
			d.log.Error("reload refused, the configuration in use stays", "mistake", m)
		}
	default:
		d.log.Error("reload failed, the configuration in use stays", "error", err)
	}
	return done, err
}

// lockReload waits until no other caller changes the configuration. The caller
// releases it.
func (d *Daemon) lockReload(ctx context.Context) (release func(), err error) {
	select {
	case d.reloading <- struct{}{}:
		return func() { <-d.reloading }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", admin.ErrNotNow, context.Cause(ctx))
	}
}

// replace puts a new configuration in the place of the one in use.
func (d *Daemon) replace() (admin.Reloaded, error) {
	cfg, lines, err := d.source.Reload()
	if err != nil {
		return admin.Reloaded{}, &admin.Refused{Mistakes: strings.Split(err.Error(), "\n")}
	}
	old := d.serving()
	changed, fixed := diff.Compare(old.cfg, cfg)
	if len(fixed) > 0 {
		refused := new(admin.Refused)
		for _, key := range fixed {
			refused.Mistakes = append(refused.Mistakes, d.source.Problem(lines, key, "cannot change while the edge runs: restart to change "+key))
		}
		return admin.Reloaded{}, refused
	}
	next, err := d.build(cfg, old)
	if err != nil {
		return admin.Reloaded{}, err
	}
	if d.certs != nil {
		renewed, err := d.certs.Reload(tls.Certificate{Cert: cfg.TLS.Cert, Key: cfg.TLS.Key}, cfg.CertificateNames())
		if err != nil {
			next.closeSites(old)
			return admin.Reloaded{}, &admin.Refused{Mistakes: []string{d.source.Problem(lines, "tls.certificate", err.Error())}}
		}
		if renewed {
			changed = append(changed, "the certificate")
		}
	}
	d.level.Set(cfg.Log.Level)
	d.use(next)
	old.closeSites(next)
	return admin.Reloaded{Config: d.source.Name(), Changed: orEmpty(changed), Warnings: cfg.Warnings()}, nil
}

// use has requests begin with g.
func (d *Daemon) use(g *generation) {
	d.current.Store(g)
	d.setCeilings(g.cfg)
	d.handler.Use(&g.Snapshot)
	if d.lane != nil {
		d.lane.Forget() // its answers are of the generation before, and none is given any more
	}
	d.feeds.Run(g.feeds)
}

// serving is the generation that requests begin with, nil before there is one.
func (d *Daemon) serving() *generation { return d.current.Load() }

// closeSites ends the supervision of the masters of the sites that other, which may
// be nil, does not have. Requests and fetches under way go on.
func (g *generation) closeSites(other *generation) {
	for _, s := range g.Sites {
		if other == nil || !slices.Contains(other.Sites, s) {
			s.Close()
		}
	}
}

// reloadLog is the last reload that was accepted, and the one that was refused
// since, if any. Besides it has the last few of both.
type reloadLog struct {
	mu   sync.Mutex
	now  report.Config
	last []page.Reload // the latest first; replaced, never changed
}

// maxReloads is how many reloads are remembered.
const maxReloads = 8

func (l *reloadLog) recent() []page.Reload {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *reloadLog) add(r page.Reload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = append([]page.Reload{r}, l.last[:min(len(l.last), maxReloads-1)]...)
}

func (l *reloadLog) status() report.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

func (l *reloadLog) accepted(file string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = report.Config{File: file, Read: at.UTC().Truncate(time.Second)}
}

func (l *reloadLog) refused(problems []string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Refused, l.now.Mistakes = at.UTC().Truncate(time.Second), problems
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
