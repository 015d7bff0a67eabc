package daemon

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"

	"pkgedge/edge/accesslog"
	"pkgedge/edge/changes"
	"pkgedge/edge/config"
	"pkgedge/edge/config/diff"
	"pkgedge/edge/limit"
	"pkgedge/edge/proxy"
	"pkgedge/edge/site"
	"pkgedge/edge/welcome"
	"pkgedge/origin/sample"
)

// generation is one configuration at work. It is immutable once it serves.
type generation struct {
	proxy.Snapshot
	cfg     *config.Config
	limiter *limit.Limiter
	feeds   map[*site.Site]*changes.Subscription // nil for a site without a feed
}

// build makes a generation of a configuration. Everything that has not changed
// since old, which may be nil, is taken from there.
func (d *Daemon) build(cfg *config.Config, old *generation) (*generation, error) {
	g := &generation{cfg: cfg, limiter: limiterOf(cfg, old), feeds: make(map[*site.Site]*changes.Subscription)}
	g.Snapshot = proxy.Snapshot{
		Cache:    d.cache,
		Metrics:  d.metrics,
		Asked:    &d.history.asked,
		Missed:   &d.history.missed,
		Sent:     &d.history.sent,
		Failures: &d.history.failures,
		Webhooks: &d.webhooks,
		Access:   d.accessLog(cfg.Log.Access),
		Trusted:  trustedFields(cfg),
		Secure:   secureOf(cfg),
		Budgets:  cfg.Limits.Fields,
		Identity: d.identity,
	}
	if d.lane != nil && cfg.FastLane {
		g.Lane = d.lane
	}
	if g.limiter != nil {
		g.Limiter = g.limiter
	}
	var err error
	if g.Welcome, err = welcomeOf(cfg); err != nil {
		return nil, err
	}
	for i := range cfg.Sites {
		s, err := d.buildSite(g, &cfg.Sites[i], old)
		if err != nil {
			g.closeSites(old)
			return nil, err
		}
		g.Sites = append(g.Sites, s)
	}
	g.Sites.Sort()
	return g, nil
}

// trustedFields are the peers whose X-Forwarded-For counts. Where proxies name their clients
// by the PROXY protocol they send on the fields of strangers as they are.
func trustedFields(cfg *config.Config) []netip.Prefix {
	if cfg.Limits.ProxyProtocol {
		return nil
	}
	return cfg.Limits.TrustedProxies
}

// welcomeOf is the page for a browser at the root.
func welcomeOf(cfg *config.Config) (*welcome.Pages, error) {
	var sites []welcome.Site
	for i := range cfg.Sites {
		s := &cfg.Sites[i]
		is := welcome.Site{Name: s.Name, URL: cfg.Public(s).String()}
		if s.Kind.Clients != nil {
			is.Clients = s.Kind.Clients(is.URL)
		}
		sites = append(sites, is)
	}
	return welcome.New(cfg.Contact, sites)
}

// buildSite returns the site that old has, or a new one. The knowledge of masters is
// in d.masters, and outlives both.
func (d *Daemon) buildSite(g *generation, conf *config.Site, old *generation) (*site.Site, error) {
	var before *site.Site
	if old != nil {
		before, _ = old.Sites.Named(conf.Name)
	}
	if before != nil && sameSite(old.cfg, g.cfg, conf) {
		g.feeds[before] = old.feeds[before]
		return before, nil
	}
	withMasters := *conf
	if len(conf.Masters) == 0 {
		var err error
		if withMasters.Masters, err = d.sampleMasters(); err != nil {
			return nil, err
		}
	}
	s, err := site.New(g.cfg, &withMasters, site.Deps{
		Cache: d.cache, Documents: d.documents, Masters: &d.masters, Identity: d.identity, Log: d.log, Observe: d.metrics.Origin,
		Nearer: d.pop.Nearer, Keep: d.pop.Keep(), Announce: d.announcer(),
	})
	if err != nil {
		return nil, err
	}
	if conf.Changes.URL != nil {
		sub := d.feeds.Subscribe(conf, s.Form(), d.cache.Crashed())
		fresh := changes.Freshness
		if conf.MinimumAge.For > 0 {
			fresh = 0 // releases come of age without a change in the feed
		}
		s.Follow(sub, fresh)
		g.feeds[s] = sub
	}
	return s, nil
}

// sameSite reports whether a site would be built as old has it, so that it can go
// on as it is: its connections, and its knowledge of its masters.
func sameSite(old, cfg *config.Config, s *config.Site) bool {
	i := slices.IndexFunc(old.Sites, func(o config.Site) bool { return o.Name == s.Name })
	return i >= 0 && diff.Equal(&old.Sites[i], s) &&
		old.Public(&old.Sites[i]).String() == cfg.Public(s).String() && old.Cache.MaxMetadata == cfg.Cache.MaxMetadata
}

// limiterOf keeps the clients' budgets where nothing about them has changed.
func limiterOf(c *config.Config, old *generation) *limit.Limiter {
	of := func(l config.Limits) limit.Config {
		return limit.Config{Rate: l.Rate, Burst: l.Burst, Exempt: l.Exempt}
	}
	if old != nil && reflect.DeepEqual(of(old.cfg.Limits), of(c.Limits)) {
		return old.limiter
	}
	return limit.New(of(c.Limits))
}

// accessLog returns the log in its configured form, nil for none.
func (d *Daemon) accessLog(form config.Access) *accesslog.Log {
	switch form {
	case config.AccessJSON:
		return accesslog.NewJSON(d.out)
	case config.AccessCommon:
		return accesslog.NewCommon(d.out)
	}
	return nil
}

// sampleMasters are the embedded masters, for a site that names none. They are
// started for the first site that needs them.
func (d *Daemon) sampleMasters() ([]config.Master, error) {
	roles := []config.Role{config.RolePrimary, config.RoleReplica}
	if len(d.samples) == 0 {
		store, err := sample.Samples()
		if err != nil {
			return nil, fmt.Errorf("cannot make the sample packages: %w", err)
		}
		for range roles {
			m, err := sample.NewMaster(store, sample.Options{}).Start()
			if err != nil {
				return nil, fmt.Errorf("cannot start a sample master: %w", err)
			}
			d.samples = append(d.samples, m)
		}
	}
	var masters []config.Master
	for i, m := range d.samples {
		u, err := url.Parse(m.URL())
		if err != nil {
			return nil, err
		}
		masters = append(masters, config.Master{URL: u, Role: roles[i]})
	}
	return masters, nil
}
