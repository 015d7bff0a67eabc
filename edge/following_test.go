package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/purge"
	"pkgedge/edge/config"
	"pkgedge/edge/report"
	"pkgedge/origin/feed"
	"pkgedge/origin/kind"
	"pkgedge/origin/kinds"
)

// A reload that leaves the changes alone leaves the follower alone, whatever
// becomes of the site; one that does not puts another in its place, which waits.
func TestAReloadKeepsTheFollower(t *testing.T) {
	s := newInformed(t, feed.Couch, "public, max-age=36000", "")
	e := s.edge
	old := e.handler.running.Load()
	first := old.sites[0].feed
	s.get(t, "/edge-sample-words")
	reload := func(change func(*config.Site)) *site {
		t.Helper()
		now := e.handler.running.Load()
		cfg := *now.cfg
		cfg.Sites = []config.Site{now.cfg.Sites[0]}
		change(&cfg.Sites[0])
		next, err := e.build(&cfg, now)
		if err != nil {
			t.Fatal(err)
		}
		e.begin(next)
		e.retire(now, next)
		return next.sites[0]
	}
	second := reload(func(c *config.Site) { c.Stale.WhileRevalidate = time.Second })
	if second == old.sites[0] || second.feed != first || !second.feed.Live() {
		t.Fatalf("another follower: %v", second.feed != first)
	}
	s.publish(t, "edge-sample-words", "3.0.0")
	if _, body := s.get(t, "/edge-sample-words"); !strings.Contains(body, "3.0.0") {
		t.Error("after a reload changes are not heard")
	}
	if second.feed.site.Load() != second || !second.own.Written(kind.Route{Group: "edge-sample-words"}) {
		t.Error("the site that serves was not told")
	}
	if st := first.Status(); st.Changes != 1 {
		t.Errorf("%+v", st)
	}
	third := reload(func(c *config.Site) { c.Changes.Mode = feed.Poll })
	if third.feed == first {
		t.Fatal("the mode has changed and the follower has not")
	}
	<-first.done
	s.log.wait(t, "change feed: live")
	if st := third.feed.Status(); st.Resets != 0 || st.Mode != feed.Poll {
		t.Errorf("the new follower begins anew: %+v", st)
	}
	s.publish(t, "edge-sample-words", "4.0.0")
	if _, body := s.get(t, "/edge-sample-words"); !strings.Contains(body, "4.0.0") {
		t.Error("the new follower's changes are not heard")
	}
	fourth := reload(func(c *config.Site) { c.Changes = config.Changes{Mode: feed.Couch} })
	<-third.feed.done
	if fourth.feed != nil || fourth.announced(&fourth.own, fourth.own.Route(kind.Request{Method: "GET", Path: "/a"})) != 0 {
		t.Error("a site without a feed has one")
	}
}

// Two followers must not write one file.
func TestAFollowerWaitsForTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := config.NewSite(kinds.All())
		conf.Name, conf.Changes.URL = "npm", &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
		old := &following{done: make(chan struct{})}
		n := new(feeds).of(&conf, "", t.TempDir(), false, quietLog())
		n.begin(old, func() {})
		synctest.Wait()
		if why := n.Status().Why; why != "not started" {
			t.Errorf("it has begun: %s", why)
		}
		close(old.done)
		synctest.Wait()
		if why := n.Status().Why; why == "not started" {
			t.Error("it does not begin")
		}
		n.stop()
		<-n.done
	})
}

// Also where the follower before was told to end by an earlier reload than the one
// that starts the next.
func TestAFollowerWaitsForTheOneBeforeARemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := config.NewSite(kinds.All())
		conf.Name, conf.Changes.URL = "npm", &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
		f := new(feeds)
		done := make(chan struct{})
		f.runs = map[string]*following{"npm": {done: done, stop: func() {}}}
		begin := func() *following {
			f.begin(nil) // the site's feed is removed
			n := f.of(&conf, "", t.TempDir(), false, quietLog())
			f.begin([]*site{{name: "npm", feed: n}})
			synctest.Wait()
			return n
		}
		n := begin()
		last := begin() // once more
		for _, n := range []*following{n, last} {
			if why := n.Status().Why; why != "not started" {
				t.Errorf("it has begun: %s", why)
			}
		}
		close(done)
		synctest.Wait()
		if why := last.Status().Why; why == "not started" {
			t.Error("it does not begin")
		}
		if !n.over() || last.over() {
			t.Error("the wrong one runs")
		}
		f.begin(nil)
		synctest.Wait()
		if f.begin(nil); len(f.ended) != 0 {
			t.Errorf("%d that have ended are remembered", len(f.ended))
		}
		f.close()
	})
}

// What was changed while packuments were stored in another form is not known for
// those of before, which come back with the configuration.
func TestWhatWasStoredInAnotherFormIsInDoubt(t *testing.T) {
	s := newInformed(t, feed.Couch, "public, max-age=36000", "")
	site := func() *site { return s.edge.handler.running.Load().sites[0] }
	here, stores := s.public, site().stores()
	s.get(t, "/edge-sample-words")
	for _, public := range []*url.URL{{Scheme: "https", Host: "new.example"}, here} {
		s.stop()
		s.public = public
		s.start(t)
		if same := site().stores() == stores; same != (public == here) {
			t.Errorf("%v is stored the same: %v", public, same)
		}
		if st := site().feed.Status(); st.Resets != 1 {
			t.Errorf("%+v", st)
		}
		if public != here {
			s.publish(t, "edge-sample-words", "3.0.0")
		}
	}
	if _, body := s.get(t, "/edge-sample-words"); !strings.Contains(body, "3.0.0") {
		t.Error("the packument of before is served")
	}
}

// The long life is for what the feed names, and for nothing else.
func TestWhatAFeedNames(t *testing.T) {
	s := newInformed(t, feed.Couch, followed5m, "").edge.handler.running.Load().sites[0]
	for path, want := range map[string]time.Duration{
		"/a": changesFresh, "/@s%2fa": changesFresh, "/a/1.0.0": changesFresh, "/-/package/a/dist-tags": changesFresh, "/%40s/a": changesFresh,
		"/a/-/a-1.0.0.tgz": 0, "/-/npm/v1/keys": 0, "/-/npm/v1/attestations/a@1.0.0": 0, "/-/v1/search": 0, "/-/whoami": 0, "/": 0, "/a?write=true": 0,
	} {
		path, query, _ := strings.Cut(path, "?")
		r := s.own.Route(kind.Request{Method: http.MethodGet, Path: path, Query: query, Header: http.Header{}})
		if got := s.announced(&s.own, r); got != want {
			t.Errorf("%s: %v; want %v", path, got, want)
		}
		if least := s.ask(&s.own, r, http.Header{}).Rule.OK.Min; least != want {
			t.Errorf("%s: the rule has %v", path, least)
		}
		if got := s.announced(&upstream{Site: s.own.Site, scope: "@s"}, r); got != 0 {
			t.Errorf("%s, of masters that are not the feed's: %v", path, got)
		}
	}
	for _, name := range []string{"../a", "a/b", "@s", "a b", "-", "%2e%2e", "favicon.ico", "a?write=true", "a#b"} {
		if ch, ok := s.change(feed.Change{Name: name}); ok && ch.purge.Name != name {
			t.Errorf("%q purges %+v", name, ch.purge)
		}
	}
	s.fresh = 0 // as with minimum_age
	if got := s.announced(&s.own, s.own.Route(kind.Request{Method: http.MethodGet, Path: "/a"})); got != 0 {
		t.Errorf("what comes of age by itself has %v", got)
	}
}

func TestAnUnpublishReachesTheFiles(t *testing.T) {
	s := newInformed(t, feed.Couch, followed5m, "").edge.handler.running.Load().sites[0]
	for deleted, scope := range map[bool]purge.Scope{false: purge.GroupMetadata, true: purge.Group} {
		ch, ok := s.change(feed.Change{Name: "@s/a", Deleted: deleted})
		if want := (purge.Purge{Scope: scope, Site: "npm", Name: "@s/a", Soft: true}); !ok || ch.purge != want {
			t.Errorf("%+v; want %+v", ch.purge, want)
		}
	}
}

// Files may be stored although the packument is not.
func TestAnUnpublishReachesFilesWithoutAPackument(t *testing.T) {
	s := newInformed(t, feed.Couch, followed5m, "")
	const name = "edge-sample-words"
	const tarball = "/" + name + "/-/" + name + "-1.0.0.tgz"
	s.get(t, tarball)
	if n := s.asked(func() { s.get(t, tarball) }); n != 0 {
		t.Fatalf("it was not stored: %d requests", n)
	}
	s.stop()
	s.public = &url.URL{Scheme: "https", Host: "new.example"} // and other packuments
	s.start(t)
	if n := s.asked(func() { s.get(t, tarball) }); n != 0 {
		t.Fatalf("it is not stored any more: %d requests", n)
	}
	site := s.edge.handler.running.Load().sites[0]
	for _, deleted := range []bool{false, true} { // and only then
		if err := site.changed([]feed.Change{{Name: name, Deleted: deleted}}); err != nil {
			t.Fatal(err)
		}
		if n := s.asked(func() { s.get(t, tarball) }); (n > 0) != deleted {
			t.Errorf("deleted %v: %d requests", deleted, n)
		}
	}
}

func TestTheFeedIsOnTheStatusPageAndInTheMetrics(t *testing.T) {
	s := newInformed(t, feed.Poll, followed5m, "")
	s.publish(t, "edge-sample-words", "3.0.0")
	s.edge.measureFeeds()
	st := s.edge.status().(report.Status).Sites[0].Changes
	if st == nil || !st.Live || st.Mode != feed.Poll || st.URL != s.feed.URL() || st.Changes != 1 || st.Why != "" || st.Sequence == "" {
		t.Errorf("%+v", st)
	}
	metrics := func() string {
		w := httptest.NewRecorder()
		s.edge.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Body.String()
	}
	for _, line := range []string{
		`edge_feed_live{site="npm"} 1`, `edge_feed_changes_total{site="npm"} 1`, `edge_feed_skipped_total{site="npm"} 0`,
		`edge_feed_resets_total{site="npm"} 1`, `edge_feed_age_seconds{site="npm"} `,
	} {
		if text := metrics(); !strings.Contains(text, line) {
			t.Errorf("/metrics lacks %s", line)
		}
	}
	s.feed.Refuse()
	s.log.wait(t, "change feed: not live")
	if text := metrics(); !strings.Contains(text, `edge_feed_live{site="npm"} 0`) {
		t.Error("/metrics has it live")
	}
	if st := s.edge.status().(report.Status).Sites[0].Changes; st.Live || !strings.Contains(st.Why, "refused") {
		t.Errorf("%+v", st)
	}
}

// What a power cut brought back is not what the feed's place says of it.
func TestAnUncleanStopPutsMetadataInDoubt(t *testing.T) {
	for _, unclean := range []bool{false, true} {
		s := newServed(t, "")
		s.get(t, "/edge-sample-words")
		conf := config.NewSite(kinds.All())
		conf.Name, conf.Changes.URL = "npm", &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
		n := new(feeds).of(&conf, "", t.TempDir(), unclean, quietLog())
		n.site.Store(s.edge.handler.running.Load().sites[0])
		n.begin(nil, func() {})
		n.stop()
		<-n.done
		before := s.reads("/")
		s.get(t, "/edge-sample-words")
		if got := s.reads("/") - before; got == 1 != unclean {
			t.Errorf("unclean %v: %d requests", unclean, got)
		}
	}
}
