package pop

import (
	"context"
	gotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"pkgedge/cache"
	"pkgedge/cache/purge"
	"pkgedge/edge/config"
	"pkgedge/edge/fleet/members"
	"pkgedge/edge/fleet/objects"
	"pkgedge/edge/fleet/sibling"
	"pkgedge/edge/report"
	"pkgedge/edge/site"
	"pkgedge/origin"
	"pkgedge/tls"
)

// Pop is the edges that this one shares its fetches with, and the store that all share. A nil Pop
// is an edge alone, and has neither.
type Pop struct {
	Siblings *sibling.Client // nil for none
	Store    *objects.Store  // nil for none

	// TLS is that of the listener where siblings ask, nil for none.
	TLS *gotls.Config

	trusted bool         // the listener asks for certificates, and for no token
	srv     *members.SRV // nil for another list
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Deps are the parts that a Pop uses.
type Deps struct {
	Heard    sibling.Members // the edges that are heard of otherwise, for a configuration without a list
	Identity string          // of this edge
	Log      *slog.Logger
}

// New makes the clients of a configuration's siblings and store. It is nil for an edge alone.
func New(f *config.Fleet, d Deps) (p *Pop, err error) {
	if f.Listen == "" && f.Store.URL == "" {
		return nil, nil
	}
	p = &Pop{stop: func() {}}
	if f.Listen != "" {
		var client *gotls.Config
		if p.TLS, client, err = tlsOf(&f.TLS); err != nil {
			return nil, err
		}
		p.trusted = f.TLS.CA != "" && f.Token == ""
		p.Siblings = sibling.NewClient(sibling.Config{Members: p.membersOf(f, d), Token: f.Token, TLS: client, Log: d.Log, Identity: d.Identity})
	}
	if f.Store.URL != "" {
		p.Store, err = newStore(&f.Store, d.Log)
	}
	return p, err
}

// membersOf is the list of siblings of a configuration.
func (p *Pop) membersOf(f *config.Fleet, d Deps) sibling.Members {
	name := f.SRV()
	if len(f.Peers) == 0 {
		return d.Heard
	}
	if name == "" {
		return members.NewStatic(f.Peers)
	}
	p.srv = members.NewSRV(name, net.DefaultResolver, func(err error) {
		if err == nil {
			d.Log.Info("the siblings are looked up again", "record", name)
			return
		}
		d.Log.Warn("the siblings cannot be looked up: the last ones stay", "record", name, "error", err)
	})
	return p.srv
}

func newStore(s *config.FleetStore, log *slog.Logger) (*objects.Store, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("fleet.store: %w", err)
	}
	cfg := objects.Config{Bucket: u.Host, Prefix: u.Path, Region: s.Region, Key: s.Key, Secret: s.Secret, Log: log}
	if s.Endpoint != "" {
		if cfg.Endpoint, err = url.Parse(s.Endpoint); err != nil {
			return nil, fmt.Errorf("fleet.store.endpoint: %w", err)
		}
	}
	return objects.New(cfg), nil
}

// tlsOf is the TLS of the listener for siblings, and that of requests to them; nil for none.
func tlsOf(t *config.FleetTLS) (own, client *gotls.Config, err error) {
	if t.Cert == "" {
		return nil, nil, nil
	}
	pair, err := gotls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("fleet.tls: %w", err)
	}
	var roots *x509.CertPool
	if t.CA != "" {
		if roots, err = tls.Roots(t.CA); err != nil {
			return nil, nil, fmt.Errorf("fleet.tls.ca: %w", err)
		}
	}
	own = &gotls.Config{Certificates: []gotls.Certificate{pair}, MinVersion: gotls.VersionTLS12}
	if roots != nil {
		own.ClientCAs, own.ClientAuth = roots, gotls.RequireAndVerifyClientCert
	}
	return own, &gotls.Config{Certificates: []gotls.Certificate{pair}, RootCAs: roots, MinVersion: gotls.VersionTLS12}, nil
}

// Handler answers siblings, from the sites that serve.
func (p *Pop) Handler(c *cache.Cache, sites func() site.Table) http.Handler {
	return sibling.NewListener(sibling.Listener{
		Client: p.Siblings, Cache: c, Sites: func() sibling.Sites { return sitesOf(sites()) }, Trusted: p.trusted,
	})
}

// Run starts the work of a pop: once the cache is open, and before anything is served.
func (p *Pop) Run() {
	if p == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	if p.Siblings != nil {
		p.running.Go(func() { p.Siblings.Run(ctx) })
	}
	if p.srv != nil {
		p.running.Go(func() { p.srv.Run(ctx) })
	}
	if p.Store != nil {
		p.running.Go(func() { p.Store.Run(ctx) })
	}
}

// Close ends the work of a pop.
func (p *Pop) Close() {
	if p == nil {
		return
	}
	p.stop()
	p.running.Wait()
	if p.Siblings != nil {
		p.Siblings.Close()
	}
	if p.Store != nil {
		p.Store.Close()
	}
}

// Nearer are the sources of a site's answers that are nearer than its masters, nil for none.
func (p *Pop) Nearer(name string) (all []origin.Nearer) {
	if p == nil {
		return nil
	}
	if p.Siblings != nil {
		all = append(all, p.Siblings.Site(name))
	}
	if p.Store != nil {
		all = append(all, p.Store.Site(name))
	}
	return all
}

// Keep is given files for the store, nil without one.
func (p *Pop) Keep() site.Keep {
	if p == nil || p.Store == nil {
		return nil
	}
	return p.Store.Keep
}

// Forget deletes the files of hard purges from the store. Those of a whole site stay there: no
// edge that has heard of the purge takes one that is older.
func (p *Pop) Forget(sites site.Table, all []purge.Purge) {
	if p == nil || p.Store == nil {
		return
	}
	for _, u := range all {
		s, ok := sites.Named(u.Site)
		switch {
		case u.Soft || !ok:
		case u.Scope == purge.Group:
			p.Store.Forget(u.Site, u.Name)
		case u.Scope == purge.Key:
			p.Store.Forget(u.Site, s.Purged(u.Name).Group)
		}
	}
}

// sitesOf are the sites of a configuration, for siblings.
type sitesOf site.Table

// ForAnother is that of the site with a name.
func (t sitesOf) ForAnother(name, path, query string, client netip.Addr, hops http.Header) (*cache.Query, bool) {
	s, ok := site.Table(t).Named(name)
	if !ok || strings.Contains(path, "//") {
		return nil, false
	}
	return s.ForAnother(path, query, client, hops)
}

// Status describes the pop to an operator, nil for an edge alone.
func (p *Pop) Status(f *config.Fleet) *report.Fleet {
	if p == nil {
		return nil
	}
	r := &report.Fleet{Name: f.Name, Pop: f.Pop}
	if p.Siblings != nil {
		s := p.Siblings.Status()
		r.Siblings = &s
	}
	if p.Store != nil {
		s := p.Store.Status()
		r.Store = &s
	}
	return r
}
