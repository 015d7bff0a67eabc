package daemon

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pkgedge/cache/purge"
	"pkgedge/edge/config"
	"pkgedge/origin/kind"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

const abbreviatedType = "application/vnd.npm.install-v1+json"

// under puts the edge under another configuration, with all that it has stored,
// as a restart does.
func (s *served) under(t *testing.T, change func(*config.Config)) {
	t.Helper()
	cfg := *s.edge.cfg
	cfg.Sites = slices.Clone(cfg.Sites)
	change(&cfg)
	built, err := s.edge.build(&cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.edge.use(built)
}

// down puts every master out.
func (s *served) down() (mend func()) {
	var rules []interface{ Mend() }
	for _, m := range s.masters {
		rules = append(rules, m.Break(faults.Any, faults.Status(503)))
	}
	return func() {
		for _, r := range rules {
			r.Mend()
		}
	}
}

const (
	young = "/edge-sample-words/-/edge-sample-words-3.0.0.tgz"
	grown = "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
)

// withYoung is an edge that has stored a release of this moment, and older ones.
func withYoung(t *testing.T) *served {
	s := newServed(t, "")
	if err := s.store.AddPackage("edge-sample-words", sample.Version{Number: "3.0.0", Published: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/edge-sample-words", young, grown} {
		if resp, _ := s.get(t, path); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", path, resp.StatusCode)
		}
	}
	return s
}

func (s *served) expect(t *testing.T, when string, want map[string]int) {
	t.Helper()
	for path, status := range want {
		if resp, body := s.get(t, path); resp.StatusCode != status {
			t.Errorf("%s: %s: %d %.200q; want %d", when, path, resp.StatusCode, body, status)
		} else if status == 451 && (!strings.HasPrefix(body, `{"error":"`) || resp.Header.Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %s: %q %v", when, path, body, resp.Header)
		}
	}
}

// A file that was stored before the minimum age was set is not served either, from
// the first request on, and is there again without it.
func TestMinimumAgeWinsOverWhatIsStored(t *testing.T) {
	s := withYoung(t)
	aged := func(age time.Duration) func(*config.Config) {
		return func(c *config.Config) { c.Sites[0].MinimumAge.For = age }
	}
	s.under(t, aged(24*time.Hour))
	s.expect(t, "with an age", map[string]int{young: 451, grown: 200, "/edge-sample-words/3.0.0": 451})
	if n := s.masters[0].Count(faults.Path(young)) + s.masters[1].Count(faults.Path(young)); n != 1 {
		t.Errorf("the masters were asked %d times for the young release; want 1, before", n)
	}
	mend := s.down()
	s.expect(t, "with an age, in an outage", map[string]int{young: 451, grown: 200})
	s.under(t, aged(48*time.Hour))
	s.expect(t, "with an age of which nothing is known, in an outage", map[string]int{young: 503, grown: 503})
	s.under(t, aged(0))
	s.expect(t, "without an age, in an outage", map[string]int{young: 200, grown: 200, "/edge-sample-words/3.0.0": 200})
	s.under(t, aged(time.Nanosecond))
	s.expect(t, "stored for longer than the age, in an outage", map[string]int{young: 200, grown: 200})
	mend()
}

// That a release is old enough is found out once.
func TestOldReleaseIsRemembered(t *testing.T) {
	s := withYoung(t)
	s.under(t, func(c *config.Config) { c.Sites[0].MinimumAge.For = 24 * time.Hour })
	s.expect(t, "at first", map[string]int{grown: 200})
	s.down()
	if err := s.edge.cache.Purge(purge.Purge{Site: "npm", Scope: purge.GroupMetadata, Name: "edge-sample-words"}); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "with no list to be had", map[string]int{grown: 200, young: 503})
}

func TestDenyWinsOverWhatIsStored(t *testing.T) {
	s := withYoung(t)
	s.down()
	for _, deny := range []string{"edge-sample-words@3.0.0", "edge-sample-words"} {
		s.under(t, func(c *config.Config) { c.Sites[0].Settings = kind.Settings{"deny": {deny}} })
		s.expect(t, deny, map[string]int{young: 451, "/edge-sample-words/3.0.0": 451})
	}
	s.under(t, func(c *config.Config) { c.Sites[0].Settings = nil })
	s.expect(t, "no longer denied", map[string]int{young: 200, "/edge-sample-words/3.0.0": 200})
}

// Stored packuments are prepared documents: under another public base, or with
// times, they are made anew, though the masters say that nothing has changed.
func TestDocumentsFollowTheConfiguration(t *testing.T) {
	s := withYoung(t)
	type document struct{ etag, body string }
	read := func(accept string) document {
		resp, body := s.get(t, "/edge-sample-words", "Accept", accept)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		return document{resp.Header.Get("Etag"), body}
	}
	full, short := read("application/json"), read(abbreviatedType)

	s.under(t, func(c *config.Config) { c.Sites[0].Settings = kind.Settings{"abbreviated.time": {"true"}} })
	timed := read(abbreviatedType)
	if timed.etag == short.etag || strings.Contains(short.body, `"time":`) || !strings.Contains(timed.body, `"time":{`) {
		t.Errorf("with times: %s\n%s", timed.etag, timed.body)
	}
	if resp, _ := s.get(t, "/edge-sample-words", "Accept", abbreviatedType, "If-None-Match", short.etag); resp.StatusCode != http.StatusOK {
		t.Errorf("the old ETag is answered %d", resp.StatusCode)
	}

	s.under(t, func(c *config.Config) { c.PublicURL = &url.URL{Scheme: "https", Host: "other.example", Path: "/npm"} })
	const base = "https://other.example/npm/edge-sample-words/-/"
	for _, before := range []document{full, short} {
		accept := "application/json"
		if before == short {
			accept = abbreviatedType
		}
		if now := read(accept); now.etag == before.etag || !strings.Contains(now.body, base) || strings.Contains(now.body, s.url) {
			t.Errorf("%s: under another base: %s\n%.300s", accept, now.etag, now.body)
		}
	}
}

// npm tells its user why there is nothing to install, and until when.
func TestNPMPrintsWhyAReleaseIsWithheld(t *testing.T) {
	t.Parallel()
	s := newServed(t, `minimum_age: { for: 3d, exempt: [edge-urgent] }`)
	now := time.Now()
	for _, name := range []string{"edge-new", "edge-urgent"} {
		if err := s.store.AddPackage(name, sample.Version{Number: "1.0.0", Published: now}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.store.AddPackage("edge-sample-words", sample.Version{Number: "3.0.0", Published: now}); err != nil {
		t.Fatal(err)
	}
	n := newNPM(t, s.url)
	until := now.UTC().Add(72*time.Hour + time.Minute - 1).Truncate(time.Minute).Format("2006-01-02")
	for spec, want := range map[string]string{
		"edge-new":                "edge-new@1.0.0 is withheld by this edge until " + until,
		"edge-new@1.0.0":          "edge-new@1.0.0 is withheld by this edge until " + until,
		"edge-sample-words@3.0.0": "edge-sample-words@3.0.0 is withheld by this edge until " + until,
		"edge-sample-words@^3":    "published less than 3 days ago",
	} {
		if _, err := n.run(t, project(t, `{"name":"app"}`), "install", spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", spec, err, want)
		}
	}
	n.must(t, project(t, `{"name":"app"}`), "install", "edge-urgent", "edge-sample-words")
	for _, path := range []string{"/edge-new/latest", "/edge-new/1.0.0", "/edge-new/-/edge-new-1.0.0.tgz"} {
		if resp, body := s.get(t, path); resp.StatusCode != 451 || !strings.Contains(body, "until "+until) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
}
