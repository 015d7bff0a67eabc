package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/purge"
	"pkgedge/cache/store"
	"pkgedge/edge/admin"
	"pkgedge/edge/config"
	"pkgedge/origin/feed"
	"pkgedge/origin/kind"
)

// changesFresh is how long a packument is used without asking while the feed is
// live: not for ever, for what no feed tells is mended by it.
const changesFresh = 12 * time.Hour

// follows says whether the site's feed, live or not, announces the changes of a
// route's responses.
func (s *site) follows(u *upstream, r kind.Route) bool {
	return s.feed != nil && s.fresh > 0 && u == &s.own && r.InFeed
}

// announced is the lifetime that the change feed gives a route's responses, 0 for
// none: while it is not live, the usual lifetimes hold.
func (s *site) announced(u *upstream, r kind.Route) time.Duration {
	if !s.follows(u, r) || !s.feed.Live() {
		return 0
	}
	return s.fresh
}

// remaining is the lifetime that a client is told: it goes on asking as often as
// if there were no feed, for nobody tells it of changes.
func (s *site) remaining(r kind.Route, a *cache.Answer) time.Duration {
	if s.feed == nil || !r.InFeed {
		return a.TTL
	}
	return min(a.TTL, a.Lifetime(s.metadata))
}

// change is what became of a name, in the cache's terms.
type change struct {
	from  *upstream
	key   store.Key
	mark  kind.Invalidation
	purge purge.Purge
}

// change finds what a change of a package concerns. ok is false for names that
// this site has nothing of.
func (s *site) change(c feed.Change) (change, bool) {
	if s.kind.ChangePath == nil {
		return change{}, false
	}
	r := s.own.Route(kind.Request{Method: http.MethodGet, Path: s.kind.ChangePath(c.Name), Header: http.Header{}})
	from, ok := s.upstream(r)
	if !ok || !r.InFeed || r.Group != c.Name {
		return change{}, false
	}
	p := purge.Purge{Scope: purge.GroupMetadata, Site: s.name, Name: r.Group, Soft: true}
	if c.Deleted { // with its files
		p.Scope = purge.Group
	}
	return change{from, s.key(from, r), kind.Invalidation{Scope: kind.GroupMetadata, Name: r.Group}, p}, true
}

// changed puts changes of a feed in force.
func (s *site) changed(changes []feed.Change) error {
	for _, c := range changes {
		if ch, ok := s.change(c); ok {
			ch.from.Wrote([]kind.Invalidation{ch.mark})
		}
	}
	return s.cache.Purge(s.concerned(changes)...)
}

// concerned lists the purges that changes need. A packument that is neither stored
// nor being fetched needs none: a later fetch gets the new state, from the primary
// first until a replica has followed (docs/decisions/0007). A deletion is rare and
// always needs one, for files may be stored without it.
func (s *site) concerned(changes []feed.Change) (purges []purge.Purge) {
	for _, c := range changes {
		if ch, ok := s.change(c); ok && (c.Deleted || s.cache.Holds(ch.key)) {
			purges = append(purges, ch.purge)
		}
	}
	return purges
}

// doubt makes all metadata of the site stale.
func (s *site) doubt() error {
	return s.cache.Purge(purge.Purge{Scope: purge.SiteMetadata, Site: s.name, Soft: true})
}

// following is a feed at work for a site, across reloads that leave it alone.
type following struct {
	*feed.Follower
	changes config.Changes
	stores  string               // see site.stores
	unclean bool                 // see cache.Unclean
	site    atomic.Pointer[site] // the one that serves
	stop    context.CancelFunc   // nil until it runs
	done    chan struct{}
}

// follow gives a site that is not used yet what the configuration says of its
// changes. What a minimum age holds back comes by itself, and no feed tells of
// it: such a site keeps the usual lifetimes.
func (s *site) follow(cfg *config.Site, feeds *feeds, dir string, log *slog.Logger) {
	s.feed, s.secret, s.hooks = feeds.of(cfg, s.stores(), dir, cfg.Changes.URL != nil && s.cache.Unclean(), log), cfg.Changes.Secret, &feeds.hooks
	if cfg.MinimumAge == 0 {
		s.fresh = changesFresh
	}
}

// feeds are the change feeds that are followed, by site.
type feeds struct {
	all sync.WaitGroup // those that run, also where they have been replaced

	hooks hooks

	mu    sync.Mutex
	runs  map[string]*following
	ended map[string]*following // were told to end and may not have; of each site the last
}

// stores names how the site's packuments are stored now. With the public URL, the
// credential or the form of the documents they get other keys: the changes of the
// meantime are not put in force for those of before, which may come back.
func (s *site) stores() string {
	if s.kind.ChangePath == nil {
		return ""
	}
	r := s.own.Route(kind.Request{Method: http.MethodGet, Path: s.kind.ChangePath("a"), Header: http.Header{}})
	return ownerOf([]string{s.key(&s.own, r).ID})
}

// of is the feed that a site is to have: the one at work, if that is the same.
// A new one does not run before begin. It is nil for a site without one.
func (f *feeds) of(s *config.Site, stores, dir string, unclean bool, log *slog.Logger) *following {
	if s.Changes.URL == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.runs[s.Name]; n != nil && n.stores == stores && n.changes.Mode == s.Changes.Mode && *n.changes.URL == *s.Changes.URL {
		return n
	}
	n := &following{changes: s.Changes, stores: stores, unclean: unclean, done: make(chan struct{})}
	n.Follower = feed.New(feed.Config{
		URL: s.Changes.URL, Mode: s.Changes.Mode, For: stores,
		Transport: feed.NewTransport(s.Timeouts.Connect),
		Path:      filepath.Join(dir, "feed-"+s.Name+".json"),
		Apply:     n.apply,
		Reset:     func(context.Context, string) error { return n.site.Load().doubt() },
		Log:       log.With("site", s.Name),
	})
	return n
}

// begin runs the feeds of the sites that serve now, and ends the others. It waits
// for none: one that takes another's place waits for its end itself, for both
// write one file.
func (f *feeds) begin(sites []*site) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := make(map[string]*following)
	for _, s := range sites {
		n := s.feed
		if n == nil {
			continue
		}
		n.site.Store(s)
		next[s.name] = n
		if old := f.runs[s.name]; old != n {
			f.all.Add(1)
			n.begin(cmp.Or(old, f.ended[s.name]), f.all.Done)
		}
	}
	maps.DeleteFunc(f.ended, func(_ string, old *following) bool { return old.over() })
	for name, old := range f.runs {
		if next[name] == old {
			continue
		}
		old.stop()
		if f.ended == nil {
			f.ended = make(map[string]*following)
		}
		f.ended[name] = old
	}
	f.runs = next
}

// over: the feed has ended.
func (n *following) over() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

// begin starts the feed once old, which may be nil, has ended. It calls ended at
// its own end.
func (n *following) begin(old *following, ended func()) {
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() {
		defer ended()
		defer close(n.done)
		if old != nil {
			<-old.done
		}
		if n.unclean {
			// What was evicted before a change may be back, unpurged. In force
			// it is in any case, and the next unclean stop asks for it again.
			_ = n.site.Load().doubt()
		}
		n.Run(ctx)
	}()
}

// close ends all feeds, and waits until they have stored where they are.
func (f *feeds) close() {
	f.begin(nil)
	f.all.Wait()
}

// apply puts a batch in force.
func (n *following) apply(_ context.Context, changes []feed.Change) error {
	return n.site.Load().changed(changes)
}

// report is what is known of a feed, nil of none.
func (n *following) report() *feed.Status {
	if n == nil {
		return nil
	}
	s := n.Status()
	return &s
}

// measureFeeds registers what is known of the feeds.
func (e *edge) measureFeeds() {
	each := func(value func(*feed.Status) float64) func(admin.Emit) {
		return func(emit admin.Emit) {
			if c := e.handler.running.Load(); c != nil {
				for _, s := range c.sites {
					if st := s.feed.report(); st != nil {
						emit(value(st), s.name)
					}
				}
			}
		}
	}
	site := []string{"site"}
	e.metrics.Gauges("edge_feed_live", "1 while the change feed is caught up and heard from, 0 while lifetimes hold.", site,
		each(func(s *feed.Status) float64 { return truth(s.Live) }))
	e.metrics.Gauges("edge_feed_age_seconds", "Time since the change feed was heard from.", site,
		each(func(s *feed.Status) float64 { return s.Age(time.Now()).Seconds() }))
	e.metrics.Counters("edge_feed_changes_total", "Changes that the feed told and that are in force.", site,
		each(func(s *feed.Status) float64 { return float64(s.Changes) }))
	e.metrics.Counters("edge_feed_skipped_total", "Rows of the change feed that could not be read, and put in doubt what they may be about.", site,
		each(func(s *feed.Status) float64 { return float64(s.Skipped) }))
	e.metrics.Counters("edge_feed_resets_total", "Times that all metadata was put in doubt.", site,
		each(func(s *feed.Status) float64 { return float64(s.Resets) }))
}

// errHook is a change by hook that names no package.
var errHook = errors.New("names no package of this site")

// pushed puts the change in force that a hook told. It is rare, so that it is not
// asked whether anything is stored: what one credential alone may have would not
// be found.
func (s *site) pushed(c feed.Change) error {
	ch, ok := s.change(c)
	if !ok {
		return errHook
	}
	ch.from.Wrote([]kind.Invalidation{ch.mark})
	return s.cache.Purge(ch.purge)
}
