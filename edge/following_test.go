package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache"
	"pkgedge/origin/feed"
	"pkgedge/origin/kind"
)

// A reload that leaves the changes alone leaves the follower alone, whatever
// becomes of the site; one that does not puts another in its place, which waits.
func TestAReloadKeepsTheFollower(t *testing.T) {
	s := newInformed(t, feed.Couch, "public, max-age=36000", "")
	e := s.edge
	old := e.handler.running.Load()
	first := old.sites[0].feed
	s.get(t, "/edge-sample-words")
	reload := func(change func(*Site)) *site {
		t.Helper()
		now := e.handler.running.Load()
		cfg := *now.cfg
		cfg.Sites = []Site{now.cfg.Sites[0]}
		change(&cfg.Sites[0])
		next, err := e.build(&cfg, now)
		if err != nil {
			t.Fatal(err)
		}
		e.begin(next)
		e.retire(now, next)
		return next.sites[0]
	}
	second := reload(func(c *Site) { c.Stale.WhileRevalidate = time.Second })
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
	third := reload(func(c *Site) { c.Changes.Mode = feed.Poll })
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
	fourth := reload(func(c *Site) { c.Changes = Changes{Mode: feed.Couch} })
	<-third.feed.done
	if fourth.feed != nil || fourth.told(&fourth.own, fourth.own.Route(kind.Request{Method: "GET", Path: "/a"})) != 0 {
		t.Error("a site without a feed has one")
	}
}

// Two followers must not write one file.
func TestAFollowerWaitsForTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := newSiteConfig()
		conf.Name, conf.Changes.URL = "npm", &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
		old := &following{done: make(chan struct{})}
		n := new(feeds).of(&conf, t.TempDir(), quietLog())
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

// The long life is for what the feed names, and for nothing else.
func TestWhatAFeedNames(t *testing.T) {
	s := newInformed(t, feed.Couch, followed5m, "").edge.handler.running.Load().sites[0]
	for path, want := range map[string]time.Duration{
		"/a": changesFresh, "/@s%2fa": changesFresh, "/a/1.0.0": changesFresh, "/-/package/a/dist-tags": changesFresh, "/%40s/a": changesFresh,
		"/a/-/a-1.0.0.tgz": 0, "/-/npm/v1/keys": 0, "/-/npm/v1/attestations/a@1.0.0": 0, "/-/v1/search": 0, "/-/whoami": 0, "/": 0, "/a?write=true": 0,
	} {
		path, query, _ := strings.Cut(path, "?")
		r := s.own.Route(kind.Request{Method: http.MethodGet, Path: path, Query: query, Header: http.Header{}})
		if got := s.told(&s.own, r); got != want {
			t.Errorf("%s: %v; want %v", path, got, want)
		}
		if rule := s.rule(&s.own, r); rule.Told != want {
			t.Errorf("%s: the rule has %v", path, rule.Told)
		}
		if got := s.told(&upstream{Site: s.own.Site, scope: "@s"}, r); got != 0 {
			t.Errorf("%s, of masters that are not the feed's: %v", path, got)
		}
	}
	for _, name := range []string{"../a", "a/b", "@s", "a b", "-", "%2e%2e", "favicon.ico", "a?write=true", "a#b"} {
		if ch, ok := s.change(feed.Change{Name: name}); ok && ch.purge.Name != name {
			t.Errorf("%q purges %+v", name, ch.purge)
		}
	}
	s.fresh = 0 // as with minimum_age
	if got := s.told(&s.own, s.own.Route(kind.Request{Method: http.MethodGet, Path: "/a"})); got != 0 {
		t.Errorf("what comes of age by itself has %v", got)
	}
}

func TestAnUnpublishReachesTheFiles(t *testing.T) {
	s := newInformed(t, feed.Couch, followed5m, "").edge.handler.running.Load().sites[0]
	for deleted, scope := range map[bool]cache.Scope{false: cache.ScopeGroupMetadata, true: cache.ScopeGroup} {
		ch, ok := s.change(feed.Change{Name: "@s/a", Deleted: deleted})
		if want := (cache.Purge{Scope: scope, Site: "npm", Name: "@s/a", Soft: true}); !ok || ch.purge != want {
			t.Errorf("%+v; want %+v", ch.purge, want)
		}
	}
}

func TestTheFeedIsOnTheStatusPageAndInTheMetrics(t *testing.T) {
	s := newInformed(t, feed.Poll, followed5m, "")
	s.publish(t, "edge-sample-words", "3.0.0")
	s.edge.measureFeeds()
	st := s.edge.status().(statusDoc).Sites[0].Changes
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
	if st := s.edge.status().(statusDoc).Sites[0].Changes; st.Live || !strings.Contains(st.Why, "refused") {
		t.Errorf("%+v", st)
	}
}
