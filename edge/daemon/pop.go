package daemon

import (
	"context"
	gotls "crypto/tls"
	"crypto/x509"
	"fmt"
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
	"pkgedge/edge/server"
	"pkgedge/edge/site"
	"pkgedge/origin"
	"pkgedge/tls"
)

// pop is the edges that this one shares its fetches with, and the store that all share.
type pop struct {
	siblings *sibling.Client  // nil for none
	listener *server.Listener // where they ask
	trusted  bool             // it asks for certificates
	srv      *members.SRV     // nil for another list
	store    *objects.Store   // nil for none

	stop    context.CancelFunc
	running sync.WaitGroup
}

// openPop opens the listener for siblings, and makes the clients. An edge alone has none of it.
func (d *Daemon) openPop(ctx context.Context) (err error) {
	f := &d.cfg.Fleet
	if f.Listen == "" && f.Store.URL == "" {
		return nil
	}
	p := &pop{stop: func() {}}
	d.pop = p
	if f.Listen != "" {
		own, client, err := fleetTLS(&f.TLS)
		if err != nil {
			return err
		}
		if p.listener, err = d.open(ctx, "fleet.listen", f.Listen); err != nil {
			return err
		}
		p.listener.TLS, p.listener.Known, p.trusted = own, true, f.TLS.CA != "" && f.Token == ""
		p.siblings = sibling.NewClient(sibling.Config{Members: d.membersOf(f), Token: f.Token, TLS: client, Log: d.log, Identity: d.identity})
	}
	if f.Store.URL != "" {
		p.store, err = d.newStore(&f.Store)
	}
	return err
}

// membersOf is the list of siblings of a configuration.
func (d *Daemon) membersOf(f *config.Fleet) sibling.Members {
	name := f.SRV()
	if len(f.Peers) == 0 {
		return siblingsHeard{d}
	}
	if name == "" {
		return members.NewStatic(f.Peers)
	}
	d.pop.srv = members.NewSRV(name, net.DefaultResolver, func(err error) {
		if err == nil {
			d.log.Info("the siblings are looked up again", "record", name)
			return
		}
		d.log.Warn("the siblings cannot be looked up: the last ones stay", "record", name, "error", err)
	})
	return d.pop.srv
}

func (d *Daemon) newStore(s *config.FleetStore) (*objects.Store, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("fleet.store: %w", err)
	}
	cfg := objects.Config{Bucket: u.Host, Prefix: u.Path, Region: s.Region, Key: s.Key, Secret: s.Secret, Log: d.log}
	if s.Endpoint != "" {
		if cfg.Endpoint, err = url.Parse(s.Endpoint); err != nil {
			return nil, fmt.Errorf("fleet.store.endpoint: %w", err)
		}
	}
	return objects.New(cfg), nil
}

// fleetTLS is the TLS of the listener for siblings, and that of requests to them; nil for none.
func fleetTLS(t *config.FleetTLS) (own, client *gotls.Config, err error) {
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

// run starts the work of a pop: once the cache is open, and before anything is served. p may
// be nil.
func (p *pop) run(d *Daemon) {
	if p == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	if p.siblings != nil {
		p.listener.Handler = sibling.NewListener(sibling.Listener{
			Client: p.siblings, Cache: d.cache, Sites: func() sibling.Sites { return sitesOf{d.serving()} }, Trusted: p.trusted,
		})
		p.running.Go(func() { p.siblings.Run(ctx) })
	}
	if p.srv != nil {
		p.running.Go(func() { p.srv.Run(ctx) })
	}
	if p.store != nil {
		p.running.Go(func() { p.store.Run(ctx) })
	}
}

// close ends the work of a pop. p may be nil.
func (p *pop) close() {
	if p == nil {
		return
	}
	p.stop()
	p.running.Wait()
	if p.siblings != nil {
		p.siblings.Close()
	}
	if p.store != nil {
		p.store.Close()
	}
}

// nearer are the sources of a site's answers that are nearer than its masters, nil for none.
func (p *pop) nearer(name string) (all []origin.Nearer) {
	if p == nil {
		return nil
	}
	if p.siblings != nil {
		all = append(all, p.siblings.Site(name))
	}
	if p.store != nil {
		all = append(all, p.store.Site(name))
	}
	return all
}

// keep is given files for the store, nil without one.
func (p *pop) keep() site.Keep {
	if p == nil || p.store == nil {
		return nil
	}
	return p.store.Keep
}

// forget deletes the files of hard purges from the store. Those of a whole site stay there: no
// edge that has heard of the purge takes one that is older.
func (p *pop) forget(g *generation, all []purge.Purge) {
	if p == nil || p.store == nil {
		return
	}
	for _, u := range all {
		s, ok := g.Sites.Named(u.Site)
		switch {
		case u.Soft || !ok:
		case u.Scope == purge.Group:
			p.store.Forget(u.Site, u.Name)
		case u.Scope == purge.Key:
			p.store.Forget(u.Site, s.Purged(u.Name).Group)
		}
	}
}

// sitesOf are the sites of a configuration, for siblings.
type sitesOf struct{ *generation }

// ForAnother is that of the site with a name.
func (g sitesOf) ForAnother(name, path, query string, client netip.Addr, hops http.Header) (*cache.Query, bool) {
	if g.generation == nil {
		return nil, false
	}
	s, ok := g.Sites.Named(name)
	if !ok || strings.Contains(path, "//") {
		return nil, false
	}
	return s.ForAnother(path, query, client, hops)
}
