package changes

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/edge/config"
	"pkgedge/edge/site"
	"pkgedge/origin/feed"
)

// Freshness is how long a packument is used without asking while the feed is live.
// It has an end, which mends every change that no feed told.
const Freshness = 12 * time.Hour

// Feeds are the change feeds of all sites. They go on across reloads that leave
// them alone.
type Feeds struct {
	// Turns are shared with other edges; nil for an edge that follows each feed. It is set before
	// the first feed.
	Turns Turns

	dir     string // where each feed's place is kept
	log     *slog.Logger
	running sync.WaitGroup // also of those that have been replaced

	mu      sync.Mutex
	current map[string]*Subscription // by site: those that were started last
	ending  map[string]*Subscription // were told to end and may not have; of each site the last
}

// NewFeeds has no feed yet.
func NewFeeds(dir string, log *slog.Logger) *Feeds {
	return &Feeds{dir: dir, log: log}
}

// Turns has one of several edges follow a feed, which tells the others of its changes.
type Turns interface {
	// Follow calls do each time that this edge is to follow the feed of a site, until ctx is done.
	// Changes up to the sequence from are in force; with own it is the sequence that is stored
	// here. state is this edge's, for the others.
	Follow(ctx context.Context, site, url string, state func() (live bool, seq string), do func(ctx context.Context, from string, own bool))
	// Heard reports whether another edge follows the feed, and all its changes are in force here
	// within a moment.
	Heard(site, url string) (live bool, edge string)
}

// Subscription is a feed that is followed for a site.
type Subscription struct {
	*feed.Follower
	turns   Turns  // nil for an edge alone
	name    string // of the site
	config  config.Changes
	form    string                    // see site.Form
	crashed bool                      // the last process did not close the cache: stored responses may predate the feed's place
	site    atomic.Pointer[site.Site] // the one that serves
	stop    context.CancelFunc        // nil until it is started
	done    chan struct{}
}

// Subscribe returns the subscription that a site is to have, whose packuments are
// stored in that form: the current one, if it is the same. Changes that were told
// while packuments had another form are not in force for those of before, which
// may come back. crashed is for a new one: see Subscription. It is not started
// before Run. It is nil for a site without a feed.
func (f *Feeds) Subscribe(conf *config.Site, form string, crashed bool) *Subscription {
	if conf.Changes.URL == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.current[conf.Name]; s != nil && s.form == form && s.config.Mode == conf.Changes.Mode && *s.config.URL == *conf.Changes.URL {
		return s
	}
	s := &Subscription{turns: f.Turns, name: conf.Name, config: conf.Changes, form: form, crashed: crashed, done: make(chan struct{})}
	s.Follower = feed.New(feed.Config{
		URL: conf.Changes.URL, Mode: conf.Changes.Mode, For: form,
		Transport: feed.NewTransport(conf.Timeouts.Connect),
		Path:      filepath.Join(f.dir, "feed-"+conf.Name+".json"),
		Apply:     func(_ context.Context, changes []feed.Change) error { return s.site.Load().Apply(inSiteTerms(changes)) },
		Reset:     func(context.Context, string) error { return s.site.Load().Reset() },
		Log:       f.log.With("site", conf.Name),
	})
	return s
}

// Run follows the feeds of the sites that serve now, and ends the others. It waits
// for none: a subscription that replaces another one waits for its end itself, for
// both write one file.
func (f *Feeds) Run(serving map[*site.Site]*Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := make(map[string]*Subscription)
	for at, s := range serving {
		if s == nil {
			continue
		}
		s.site.Store(at)
		next[at.Name] = s
		if before := f.current[at.Name]; before != s {
			f.running.Add(1)
			s.start(cmp.Or(before, f.ending[at.Name]), f.running.Done)
		}
	}
	maps.DeleteFunc(f.ending, func(_ string, s *Subscription) bool { return s.ended() })
	for name, s := range f.current {
		if next[name] == s {
			continue
		}
		s.stop()
		if f.ending == nil {
			f.ending = make(map[string]*Subscription)
		}
		f.ending[name] = s
	}
	f.current = next
}

// Close ends all feeds, and waits until they have stored their places.
func (f *Feeds) Close() {
	f.Run(nil)
	f.running.Wait()
}

// inSiteTerms leaves out the sequence and the revision of each change.
func inSiteTerms(changes []feed.Change) []site.Change {
	all := make([]site.Change, len(changes))
	for i, c := range changes {
		all[i] = site.Change{Package: c.Name, Deleted: c.Deleted}
	}
	return all
}

// Done is closed when the subscription has ended.
func (s *Subscription) Done() <-chan struct{} { return s.done }

// ended reports whether the subscription has ended.
func (s *Subscription) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// start follows the feed once before, which may be nil, has ended. It calls ended
// at its own end.
func (s *Subscription) start(before *Subscription, ended func()) {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		defer ended()
		defer close(s.done)
		if before != nil {
			<-before.done
		}
		if s.crashed {
			// Responses that were evicted before a change may be back, unpurged. The
			// purge is in force in any case, and the next crash repeats it.
			_ = s.site.Load().InvalidateMetadata()
		}
		if s.turns == nil {
			s.Follower.Run(ctx)
			return
		}
		s.turns.Follow(ctx, s.name, s.url(), func() (bool, string) {
			is := s.Status()
			return is.Live, is.Sequence
		}, func(ctx context.Context, from string, own bool) {
			if own {
				s.Follower.Run(ctx)
			} else {
				s.RunFrom(ctx, from)
			}
		})
	}()
}

// url names the feed for all edges.
func (s *Subscription) url() string { return s.Status().URL }

// Live reports whether every change is known within about a second: from the feed, or from
// another edge that follows it.
func (s *Subscription) Live() bool {
	if s.Follower.Live() {
		return true
	}
	if s.turns == nil {
		return false
	}
	live, _ := s.turns.Heard(s.name, s.url())
	return live
}

// State describes the feed. It is nil without a subscription.
func (s *Subscription) State() *feed.Status {
	if s == nil {
		return nil
	}
	state := s.Status()
	if s.turns != nil && !state.Live {
		if live, edge := s.turns.Heard(s.name, state.URL); live {
			state.Live, state.By, state.Why, state.Heard = true, edge, "", time.Now()
		}
	}
	return &state
}
