package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/changes"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/site"
	"pkgedge/origin/feed"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// toldLog hands on the lines of a log.
type toldLog struct{ lines chan string }

func (l toldLog) Enabled(context.Context, slog.Level) bool { return true }
func (l toldLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l toldLog) WithGroup(string) slog.Handler            { return l }
func (l toldLog) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	select {
	case l.lines <- line:
	default: // nobody waits for so many
	}
	return nil
}

// wait returns when a line with that text has come.
func (l toldLog) wait(t *testing.T, text string) string {
	t.Helper()
	var before []string
	for end := time.After(edgetest.Patience); ; {
		select {
		case line := <-l.lines:
			if strings.Contains(line, text) {
				return line
			}
			before = append(before, line)
		case <-end:
			t.Fatalf("the log does not say %q, but:\n%s", text, strings.Join(before, "\n"))
		}
	}
}

// informed is an edge that follows the feed of a third master, which serves nothing
// else and can be taken away.
type informed struct {
	*served
	log  toldLog
	feed *sample.Server
	dir  string
	keys string // of the site
	stop func() // the edge

	public *url.URL
}

const followed5m = "public, max-age=300"

// newInformed starts an edge with a feed. Its masters send that Cache-Control.
func newInformed(t *testing.T, mode feed.Mode, control, keys string) *informed {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	s := &informed{served: &served{behind: &behind{store: store}, client: edgetest.NewClient(t, nil)}, dir: fastDir(t)}
	for i := range s.masters {
		s.masters[i] = faults.NewMaster(store, faults.CacheControl(control))
		if s.servers[i], err = s.masters[i].Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.servers[i].Close)
	}
	if s.feed, err = faults.NewMaster(store, faults.Under("/db")).Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.feed.Close)
	s.keys = fmt.Sprintf(`sites: [{ name: npm, probe: { every: 1h }, stale: { while_revalidate: 0s, patience: 1m }, masters: [{ url: %q, role: primary }, { url: %q, role: replica }], changes: { url: %q, mode: %s }, %s }]`,
		s.servers[0].URL(), s.servers[1].URL(), s.feed.URL(), mode, keys)
	s.start(t)
	return s
}

// feed is the subscription of the only site, nil for none.
func (e *testEdge) feed() *changes.Subscription {
	g := e.serving()
	return g.feeds[g.Sites[0]]
}

// start starts an edge, and waits until its feed is live.
func (s *informed) start(t *testing.T) {
	t.Helper()
	cfg := configured(t, "admin: { listen: '' }\nlog: { access: 'off' }\n"+s.keys)
	cfg.Cache.Memory, cfg.Cache.Dir = 1<<20, s.dir
	s.log = toldLog{make(chan string, 4096)}
	e := newTestDaemon(t, cfg, slog.New(s.log))
	if s.public == nil { // the keys of stored responses contain it
		s.public = &url.URL{Scheme: "http", Host: cfg.Listen}
	}
	cfg.PublicURL = s.public
	e.openTestCache(t)
	s.edge, s.url = e, "http://"+cfg.Listen
	s.stop = e.serve()
	t.Cleanup(s.stop)
	s.log.wait(t, "change feed: live")
}

func (s *informed) publish(t *testing.T, name, number string) {
	t.Helper()
	if err := s.store.AddPackage(name, sample.Version{Number: number}); err != nil {
		t.Fatal(err)
	}
	s.log.wait(t, "in force changes=1 last="+name)
}

// asked counts the requests at the masters while do runs.
func (s *informed) asked(do func()) int {
	before := s.reads("/")
	do()
	return s.reads("/") - before
}

// An answer that would have been fresh for hours is not used once the feed has
// told of a newer one; nor is the news that there is nothing.
func TestAPublishIsVisibleAtOnceWithAFeed(t *testing.T) {
	t.Parallel()
	for _, mode := range []feed.Mode{feed.Couch, feed.Poll} {
		t.Run(string(mode), func(t *testing.T) {
			s := newInformed(t, mode, "public, max-age=36000", "fresh: { missing: 1h }")
			const name = "edge-sample-words"
			s.get(t, "/"+name)
			s.get(t, "/edge-sample-app")
			if n := s.asked(func() { s.get(t, "/"+name) }); n != 0 {
				t.Fatalf("it was not stored: %d requests", n)
			}
			for path, status := range map[string]int{"/" + name + "/3.0.0": 404, "/edge-new": 404, "/" + name + "/-/" + name + "-3.0.0.tgz": 404} {
				if resp, _ := s.get(t, path); resp.StatusCode != status {
					t.Fatalf("%s: %d", path, resp.StatusCode)
				}
			}
			s.publish(t, name, "3.0.0")
			s.publish(t, "edge-new", "1.0.0")
			for _, path := range []string{"/" + name + "/3.0.0", "/edge-new", "/" + name + "/-/" + name + "-3.0.0.tgz"} {
				if resp, body := s.get(t, path); resp.StatusCode != 200 {
					t.Errorf("%s: %d %.100q", path, resp.StatusCode, body)
				}
			}
			if _, body := s.get(t, "/"+name); !strings.Contains(body, "3.0.0") {
				t.Error("the packument is the old one")
			}
			if n := s.asked(func() { s.get(t, "/edge-sample-app"); s.get(t, "/"+name) }); n != 0 {
				t.Errorf("%d requests for what has not changed", n)
			}
		})
	}
}

// A document that its masters want validated each time has a long life while the
// feed is live, and no longer. Clients go on asking the edge.
func TestLifetimesAreLongWhileTheFeedIsLive(t *testing.T) {
	t.Parallel()
	for _, mode := range []feed.Mode{feed.Couch, feed.Poll} {
		t.Run(string(mode), func(t *testing.T) {
			s := newInformed(t, mode, "public, max-age=0", "")
			const path = "/edge-sample-words"
			s.get(t, path)
			n := s.asked(func() {
				resp, _ := s.get(t, path)
				if told := resp.Header.Get("Cache-Status"); !strings.Contains(told, "; hit; ttl=43") { // 12 h less a second or so
					t.Errorf("Cache-Status %s", told)
				}
				if told := resp.Header.Get("Cache-Control"); told != "public, max-age=0" {
					t.Errorf("clients are told %s", told)
				}
			})
			if n != 0 {
				t.Errorf("%d requests while the feed is live", n)
			}
			s.feed.Refuse()
			s.log.wait(t, "change feed: not live")
			if n := s.asked(func() { s.get(t, path) }); n != 1 {
				t.Errorf("%d requests when the feed is dead; want a validation", n)
			}
			if err := s.feed.Resume(); err != nil {
				t.Fatal(err)
			}
			s.log.wait(t, "change feed: live")
			if n := s.asked(func() { s.get(t, path) }); n != 0 {
				t.Errorf("%d requests when the feed is back", n)
			}
		})
	}
}

// Clients are told the lifetime that they would have without a feed, however long
// the edge uses the answer.
func TestClientsLifetimeDoesNotGrowWithAFeed(t *testing.T) {
	for control, keys := range map[string]string{"public, max-age=300": "", "": "", "max-age=7": "fresh: { metadata: 5m, override: true }"} {
		s := newInformed(t, feed.Couch, control, keys)
		begun := time.Now()
		for _, path := range []string{"/edge-sample-words", "/edge-sample-words", "/edge-sample-words/1.0.0", "/-/package/edge-sample-words/dist-tags", "/edge-sample-nothing"} {
			resp, _ := s.get(t, path)
			_, text, _ := strings.Cut(resp.Header.Get("Cache-Control"), "public, max-age=")
			longest := 300
			if resp.StatusCode == 404 {
				longest = 10
			}
			if age, err := strconv.Atoi(text); err != nil || age > longest || age < longest-2-int(time.Since(begun)/time.Second) {
				t.Errorf("%q, %s: Cache-Control %s", control, path, resp.Header.Get("Cache-Control"))
			}
		}
		resp, _ := s.get(t, "/edge-sample-words/-/edge-sample-words-1.0.0.tgz")
		if told := resp.Header.Get("Cache-Control"); !strings.Contains(told, "max-age=315575") && !strings.Contains(told, "max-age=315") {
			t.Errorf("a tarball has %s", told)
		}
	}
}

// An answer out of a cache in front of the master may be older than the change,
// and is used as long as it says, no longer.
func TestAnAnswerOutOfAnotherCacheHasNoLongLife(t *testing.T) {
	s := newInformed(t, feed.Couch, "public, max-age=100", "")
	for _, m := range s.masters {
		m.Break(faults.Any, faults.Set("Age", "100"))
	}
	s.get(t, "/edge-sample-words")
	if n := s.asked(func() { s.get(t, "/edge-sample-words") }); n != 1 {
		t.Errorf("%d requests; want 1", n)
	}
}

func TestTheFirstStartOfAFeedDoubtsWhatIsStored(t *testing.T) {
	s := newInformed(t, feed.Couch, "public, max-age=36000", "")
	const path = "/edge-sample-words"
	s.get(t, path)
	if n := s.asked(func() { s.get(t, path) }); n != 0 {
		t.Errorf("%d requests before", n)
	}
	if err := s.edge.serving().Sites[0].InvalidateMetadata(); err != nil {
		t.Fatal(err)
	}
	tarball := path + "/-/edge-sample-words-1.0.0.tgz"
	s.get(t, tarball)
	if n := s.asked(func() { s.get(t, path); s.get(t, tarball) }); n > 1 {
		t.Errorf("%d requests; want one for the packument", n)
	}
}

// A restart goes on where the last edge stopped: a package that was published
// meanwhile is fetched, and any other is used as it is.
func TestARestartedEdgeIsToldWhatItMissed(t *testing.T) {
	t.Parallel()
	for _, mode := range []feed.Mode{feed.Couch, feed.Poll} {
		t.Run(string(mode), func(t *testing.T) {
			s := newInformed(t, mode, "public, max-age=36000", "")
			s.get(t, "/edge-sample-words")
			s.get(t, "/edge-sample-app")
			s.edge.feeds.Close()
			if err := s.store.AddPackage("edge-sample-words", sample.Version{Number: "3.0.0"}); err != nil {
				t.Fatal(err)
			}
			s.stop()
			s.start(t)
			if st := s.edge.feed().Status(); st.Resets != 0 || st.Changes != 1 {
				t.Errorf("%+v", st)
			}
			if _, body := s.get(t, "/edge-sample-words"); !strings.Contains(body, "3.0.0") {
				t.Error("the old packument is served")
			}
			if n := s.asked(func() { s.get(t, "/edge-sample-app") }); n != 0 {
				t.Errorf("%d requests for what has not changed", n)
			}
		})
	}
}

// Of a replica that lags, nothing is used for longer than without a feed: whether
// the edge has forgotten the changes by a restart, a lost sequence, or because of so
// many others.
func TestALaggingReplicasDocumentHasNoLongLife(t *testing.T) {
	t.Parallel()
	const n = 10
	name := func(i int) string { return fmt.Sprint("edge-p", i) }
	for what, forget := range map[string]func(t *testing.T, s *informed, write func(number string)){
		"restart": func(t *testing.T, s *informed, write func(string)) {
			write("2.0.0")
			s.stop()
		},
		"lost sequence": func(t *testing.T, s *informed, write func(string)) {
			s.stop()
			write("2.0.0")
			if err := os.Remove(filepath.Join(s.dir, "feed-npm.json")); err != nil {
				t.Fatal(err)
			}
		},
		"many other changes": func(t *testing.T, s *informed, write func(string)) {
			write("2.0.0")
			var others []site.Change
			for i := range 5000 {
				others = append(others, site.Change{Package: fmt.Sprint("other-", i)})
			}
			if err := s.edge.serving().Sites[0].Apply(others); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, out := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, primary out %v", what, out), func(t *testing.T) {
				s := newInformed(t, feed.Couch, followed5m, "")
				first := s.edge.feed()
				write := func(number string) {
					for i := range n {
						if first.Live() {
							s.publish(t, name(i), number)
						} else if err := s.store.AddPackage(name(i), sample.Version{Number: number}); err != nil {
							t.Fatal(err)
						}
					}
				}
				write("1.0.0")
				for i := range n {
					s.get(t, "/"+name(i))
				}
				s.masters[1].Lag()
				forget(t, s, write)
				if what != "many other changes" {
					s.start(t)
				}
				if out {
					s.masters[0].Break(faults.Any, faults.Status(503))
				}
				for i := range n {
					_, body := s.get(t, "/"+name(i))
					if is := strings.Contains(body, "2.0.0"); is == out {
						t.Errorf("%s has the change: %v", name(i), is)
					}
					resp, _ := s.get(t, "/"+name(i))
					_, ttl, _ := strings.Cut(resp.Header.Get("Cache-Status"), "hit; ttl=")
					ttl, _, _ = strings.Cut(ttl, ";")
					left, err := strconv.Atoi(ttl)
					if out && left > 300 || !out && left < 40000 || err != nil {
						t.Errorf("%s: Cache-Status %s", name(i), resp.Header.Get("Cache-Status"))
					}
				}
			})
		}
	}
}

// Reads of a package that has just changed go to the primary, also where nothing
// was stored: a replica may not have it yet.
func TestAChangedPackageIsReadFromThePrimary(t *testing.T) {
	s := newInformed(t, feed.Couch, followed5m, "")
	s.masters[1].Lag()
	for i := range 10 {
		name := fmt.Sprint("edge-new-", i)
		s.publish(t, name, "1.0.0")
		if resp, _ := s.get(t, "/"+name); resp.StatusCode != 200 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
		if n := s.masters[1].Count(faults.Path("/" + name)); n != 0 {
			t.Errorf("%s: the replica was asked", name)
		}
	}
}
