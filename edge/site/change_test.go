package site

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/cache/purge"
	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/origin/kind"
	"pkgedge/origin/kinds"
)

// newTestSite is an npm site with more keys, in front of a master that is never
// asked. Its cache is on a real disk.
func newTestSite(t testing.TB, keys string) *Site {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	edgetest.WriteFile(t, path, `sites: [{ name: npm, probe: { every: 1h }, masters: [{ url: "http://127.0.0.1:1", role: primary }], `+keys+` }]`)
	cfg, err := config.Load(path, kinds.All(), edgetest.NoEnv)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.Open(cache.Config{Memory: 64 << 20, Disk: 1 << 30, Dir: t.TempDir(), MaxObject: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := New(cfg, &cfg.Sites[0], Deps{Cache: c, Identity: "edge-test", Log: edgetest.QuietLog(), Observe: func(site, master, result string) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// liveFeed is a feed that is always live.
type liveFeed struct{}

func (liveFeed) Live() bool { return true }

// packed is a packument at hand, for filling a store.
type packed struct{}

func (packed) Fetch(_ context.Context, _ cache.FetchRequest, fill *cache.Fill) error {
	const body = `{"name":"x","versions":{}}`
	if err := fill.Respond(http.StatusOK, http.Header{"Cache-Control": {"max-age=36000"}}, int64(len(body))); err != nil {
		return err
	}
	_, err := fill.Write([]byte(body))
	return err
}

// backlog stores packuments, and returns the changes of all packages, of which
// every fifth is stored.
func backlog(t testing.TB, s *Site, n int) []Change {
	t.Helper()
	var all []Change
	for i := range n {
		c := Change{Package: fmt.Sprintf("@scope/package-%d", i)}
		all = append(all, c)
		if i%5 > 0 {
			continue
		}
		ch, ok := s.resolve(c)
		if !ok {
			t.Fatal(c)
		}
		q := &cache.Query{Key: ch.key, Fetcher: packed{}, Request: policy.Request{Method: http.MethodGet, Control: policy.NoDirectives()}}
		if err := s.cache.Put(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// Of a backlog, stored packuments become stale and no other names are marked: the
// feed names millions of packages.
func TestABacklogPurgesWhatIsStored(t *testing.T) {
	s := newTestSite(t, "")
	all := backlog(t, s, 2000)
	if n := len(s.purges(all)); n != 400 {
		t.Fatalf("%d are concerned", n)
	}
	if err := s.Apply(all); err != nil {
		t.Fatal(err)
	}
	for i, c := range all {
		ch, _ := s.resolve(c)
		asked := false
		q := &cache.Query{Key: ch.key, Request: policy.Request{Method: http.MethodGet, Control: policy.NoDirectives()}, Fetcher: asking(func() { asked = true })}
		a, err := s.cache.Get(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
		if !asked {
			t.Fatalf("%d is answered as it was", i)
		}
		if i == 20 {
			break
		}
	}
	for _, c := range []Change{all[0], all[len(all)-1]} { // so that their files are asked of the primary
		if !s.own.Written(kind.Route{Group: c.Package}) {
			t.Errorf("%s is not pinned", c.Package)
		}
	}
}

// asking is a fetcher that tells that it was asked.
type asking func()

func (f asking) Fetch(ctx context.Context, ask cache.FetchRequest, fill *cache.Fill) error {
	f()
	return packed{}.Fetch(ctx, ask, fill)
}

// BenchmarkBacklog applies 10,000 changes, of which 2,000 are stored, in batches as
// they come.
func BenchmarkBacklog(b *testing.B) {
	s := newTestSite(b, "")
	all := backlog(b, s, 10_000)
	for b.Loop() {
		for i := 0; i < len(all); i += 1000 {
			if err := s.Apply(all[i : i+1000]); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// The long life is for the documents that the feed names, and for no others.
func TestWhatAFeedNames(t *testing.T) {
	const feedFreshness = 12 * time.Hour
	s := newTestSite(t, "")
	s.Follow(liveFeed{}, feedFreshness)
	for path, want := range map[string]time.Duration{
		"/a": feedFreshness, "/@s%2fa": feedFreshness, "/a/1.0.0": feedFreshness, "/-/package/a/dist-tags": feedFreshness, "/%40s/a": feedFreshness,
		"/a/-/a-1.0.0.tgz": 0, "/-/npm/v1/keys": 0, "/-/npm/v1/attestations/a@1.0.0": 0, "/-/v1/search": 0, "/-/whoami": 0, "/": 0, "/a?write=true": 0,
	} {
		path, query, _ := strings.Cut(path, "?")
		r := s.Route(http.MethodGet, path, query, http.Header{})
		if got := s.FeedLifetime(&s.own, r); got != want {
			t.Errorf("%s: %v; want %v", path, got, want)
		}
		if least := s.Query(&s.own, r, http.Header{}).Rule.OK.Min; least != want {
			t.Errorf("%s: the rule has %v", path, least)
		}
		if got := s.FeedLifetime(&Upstream{Site: s.own.Site, Scope: "@s"}, r); got != 0 {
			t.Errorf("%s, of masters that are not the feed's: %v", path, got)
		}
	}
	for _, name := range []string{"../a", "a/b", "@s", "a b", "-", "%2e%2e", "favicon.ico", "a?write=true", "a#b"} {
		if ch, ok := s.resolve(Change{Package: name}); ok && ch.purge.Name != name {
			t.Errorf("%q purges %+v", name, ch.purge)
		}
	}
	s.Follow(liveFeed{}, 0) // as with minimum_age
	if got := s.FeedLifetime(&s.own, s.Route(http.MethodGet, "/a", "", http.Header{})); got != 0 {
		t.Errorf("what comes of age by itself has %v", got)
	}
}

func TestAnUnpublishReachesTheFiles(t *testing.T) {
	s := newTestSite(t, "")
	for deleted, scope := range map[bool]purge.Scope{false: purge.GroupMetadata, true: purge.Group} {
		ch, ok := s.resolve(Change{Package: "@s/a", Deleted: deleted})
		if want := (purge.Purge{Scope: scope, Site: "npm", Name: "@s/a", Soft: true}); !ok || ch.purge != want {
			t.Errorf("%+v; want %+v", ch.purge, want)
		}
	}
}

// After a reload masters are probed with paths that are still theirs.
func TestWhatMastersAreProbedWithAfterAReload(t *testing.T) {
	s := newTestSite(t, `scopes: { "@acme": { masters: [{ url: "http://127.0.0.1:1", role: primary }] } }`)
	for path, own := range map[string]bool{"/left/latest": true, "/@acme%2fwords/latest": false, "/@acmeco%2fx/latest": true} {
		if got := s.owns(&s.own, path); got != own {
			t.Errorf("%s is a matter of the public masters: %v", path, got)
		}
		if got := s.owns(s.scopes["@acme"], path); got == own {
			t.Errorf("%s is a matter of @acme's masters: %v", path, got)
		}
	}
}

// A stale list of digests is used while it is validated: a file does not wait for that.
func TestAFileDoesNotWaitForItsList(t *testing.T) {
	s := newTestSite(t, "stale: { patience: 1h }")
	query := func(path string) *cache.Query {
		return s.Query(&s.own, s.Route(http.MethodGet, path, "", http.Header{}), http.Header{})
	}
	if q := query("/a"); q.Rule.Patience != time.Hour || q.SoftTimeout != time.Hour {
		t.Errorf("a packument: %v, %v", q.Rule.Patience, q.SoftTimeout)
	}
	q := query("/a/-/a-1.0.0.tgz")
	needs := q.Fetcher.(cache.Needer).Needs()
	if q.Rule.Patience != 0 || len(needs) == 0 {
		t.Errorf("a file: %v, and %d lists", q.Rule.Patience, len(needs))
	}
	for _, need := range needs {
		if need.Rule.Patience != 0 {
			t.Errorf("%s is waited for: %v", need.Key.ID, need.Rule.Patience)
		}
	}
	if q := newTestQuery(t, "stale: { patience: 0s }"); q.Rule.Patience != 0 || q.SoftTimeout != softTimeout {
		t.Errorf("with none: %v, %v", q.Rule.Patience, q.SoftTimeout)
	}
}

// newTestQuery is the query for a packument of a site with more keys.
func newTestQuery(t *testing.T, keys string) *cache.Query {
	t.Helper()
	s := newTestSite(t, keys)
	return s.Query(&s.own, s.Route(http.MethodGet, "/a", "", http.Header{}), http.Header{})
}
