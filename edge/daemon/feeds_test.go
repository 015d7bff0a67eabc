package daemon

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/changes"
	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/gauges"
	"pkgedge/edge/site"
	"pkgedge/origin/feed"
	"pkgedge/origin/kind"
	"pkgedge/origin/kinds"
)

// A reload that leaves the feed's keys alone leaves the subscription alone, also
// where the site is built anew. Otherwise another subscription takes its place, and
// waits for its end.
func TestAReloadKeepsTheFollower(t *testing.T) {
	t.Parallel()
	s := newInformed(t, feed.Couch, "public, max-age=36000", "")
	e := s.edge
	old := e.serving()
	first := e.feed()
	s.get(t, "/edge-sample-words")
	reload := func(change func(*config.Site)) *site.Site {
		t.Helper()
		now := e.serving()
		cfg := *now.cfg
		cfg.Sites = []config.Site{now.cfg.Sites[0]}
		change(&cfg.Sites[0])
		next, err := e.build(&cfg, now)
		if err != nil {
			t.Fatal(err)
		}
		e.use(next)
		now.closeSites(next)
		return next.Sites[0]
	}
	second := reload(func(c *config.Site) { c.Stale.WhileRevalidate = time.Second })
	if second == old.Sites[0] || e.feed() != first || !first.Live() {
		t.Fatalf("another follower: %v", e.feed() != first)
	}
	s.publish(t, "edge-sample-words", "3.0.0")
	if _, body := s.get(t, "/edge-sample-words"); !strings.Contains(body, "3.0.0") {
		t.Error("after a reload changes are not heard")
	}
	if !second.Upstreams()[0].Written(kind.Route{Group: "edge-sample-words"}) {
		t.Error("the site that serves was not told")
	}
	if st := first.Status(); st.Changes != 1 {
		t.Errorf("%+v", st)
	}
	reload(func(c *config.Site) { c.Changes.Mode = feed.Poll })
	next := e.feed()
	if next == first {
		t.Fatal("the mode has changed and the follower has not")
	}
	edgetest.Receive(t, first.Done(), "the end of the first subscription")
	s.log.wait(t, "change feed: live")
	if st := next.Status(); st.Resets != 0 || st.Mode != feed.Poll {
		t.Errorf("the new follower begins anew: %+v", st)
	}
	s.publish(t, "edge-sample-words", "4.0.0")
	if _, body := s.get(t, "/edge-sample-words"); !strings.Contains(body, "4.0.0") {
		t.Error("the new follower's changes are not heard")
	}
	fourth := reload(func(c *config.Site) { c.Changes = config.Changes{Mode: feed.Couch} })
	edgetest.Receive(t, next.Done(), "the end of the second subscription")
	own := fourth.Upstreams()[0]
	if q := fourth.Query(own, fourth.Route("GET", "/a", "", http.Header{}), http.Header{}); e.feed() != nil || q.Rule.OK.Min != 0 {
		t.Error("a site without a feed has one")
	}
}

// Packuments of an earlier form come back with the configuration. The changes of the
// meantime were not put in force for them.
func TestWhatWasStoredInAnotherFormIsInDoubt(t *testing.T) {
	s := newInformed(t, feed.Couch, "public, max-age=36000", "")
	form := func() string { return s.edge.serving().Sites[0].Form() }
	here, before := s.public, form()
	s.get(t, "/edge-sample-words")
	for _, public := range []*url.URL{{Scheme: "https", Host: "new.example"}, here} {
		s.stop()
		s.public = public
		s.start(t)
		if same := form() == before; same != (public == here) {
			t.Errorf("%v is stored the same: %v", public, same)
		}
		if st := s.edge.feed().Status(); st.Resets != 1 {
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
	at := s.edge.serving().Sites[0]
	for _, deleted := range []bool{false, true} { // and only then
		if err := at.Apply([]site.Change{{Package: name, Deleted: deleted}}); err != nil {
			t.Fatal(err)
		}
		if n := s.asked(func() { s.get(t, tarball) }); (n > 0) != deleted {
			t.Errorf("deleted %v: %d requests", deleted, n)
		}
	}
}

func TestTheFeedIsOnTheStatusPageAndInTheMetrics(t *testing.T) {
	t.Parallel()
	s := newInformed(t, feed.Poll, followed5m, "")
	s.publish(t, "edge-sample-words", "3.0.0")
	gauges.Feeds(s.edge.metrics, s.edge.eachFeed)
	st := s.edge.report().Sites[0].Changes
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
	if st := s.edge.report().Sites[0].Changes; st.Live || !strings.Contains(st.Why, "refused") {
		t.Errorf("%+v", st)
	}
}

// Responses that a power cut brought back may be older than the feed's place.
func TestACrashPutsMetadataInDoubt(t *testing.T) {
	for _, crashed := range []bool{false, true} {
		s := newServed(t, "")
		s.get(t, "/edge-sample-words")
		conf := config.NewSite(kinds.All())
		conf.Name, conf.Changes.URL = "npm", &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
		feeds := changes.NewFeeds(t.TempDir(), edgetest.QuietLog())
		feeds.Run(map[*site.Site]*changes.Subscription{s.edge.serving().Sites[0]: feeds.Subscribe(&conf, "", crashed)})
		feeds.Close()
		before := s.reads("/")
		s.get(t, "/edge-sample-words")
		if got := s.reads("/") - before; got == 1 != crashed {
			t.Errorf("after a crash %v: %d requests", crashed, got)
		}
	}
}
