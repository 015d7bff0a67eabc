package daemon

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"pkgedge/cache/purge"
	"pkgedge/edge/edgetest"
	"pkgedge/origin/kind"
	"pkgedge/origin/sample/tarball"
)

// tree is a master of a release tree.
type tree struct {
	mu     sync.Mutex
	files  map[string]string
	asked  map[string]int
	fields map[string]string // of every answer
	mute   bool              // answers without validators
	server *httptest.Server
}

func newTree(t *testing.T) *tree {
	t.Helper()
	tr := &tree{files: map[string]string{}, asked: map[string]int{}}
	tr.server = httptest.NewServer(tr)
	t.Cleanup(tr.server.Close)
	return tr
}

func (tr *tree) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tr.mu.Lock()
	body, ok := tr.files[r.URL.Path]
	if r.Method == http.MethodGet {
		tr.asked[r.URL.Path]++
	}
	for name, value := range tr.fields {
		w.Header().Set(name, value)
	}
	mute := tr.mute
	tr.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	if mute {
		fmt.Fprint(w, body)
		return
	}
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(body)))
	w.Header().Set("Etag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	fmt.Fprint(w, body)
}

func (tr *tree) put(path, body string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.files[path] = body
}

func (tr *tree) count(path string) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.asked[path]
}

// release adds a release with one file, and its list.
func (tr *tree) release(version, file, body string) {
	list := fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(body)), file)
	tr.put("/"+version+"/"+file, body)
	tr.put("/"+version+"/SHASUMS256.txt", list)
	tr.put("/"+version+"/SHASUMS256.txt.asc",
		"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"+list+"-----BEGIN PGP SIGNATURE-----\n\niQ\n-----END PGP SIGNATURE-----\n")
}

func indexOf(versions ...string) string {
	return `[{"version":"` + strings.Join(versions, `"},{"version":"`) + `"}]`
}

func newDist(t *testing.T) (s *served, a, b *tree) {
	t.Helper()
	a, b = newTree(t), newTree(t)
	body := string(tarball.Noise("dist", 2<<20))
	for _, tr := range []*tree{a, b} {
		tr.release("v20.1.0", "node-v20.1.0.tar.xz", body)
		tr.put("/index.json", indexOf("v20.1.0"))
	}
	s = &served{behind: &behind{}, client: edgetest.NewClient(t, nil)}
	s.edge = newTestEdge(t, fmt.Sprintf("sites: [{ name: dist, kind: dist, path: /dist/, masters: [{ url: %q, role: primary }, { url: %q, role: replica }] }]",
		a.server.URL, b.server.URL), true)
	s.url = s.edge.cfg.PublicURL.String() + "/dist"
	serveEdge(t, s.edge)
	return s, a, b
}

// stale makes the stored response for a path stale.
func (s *served) stale(t *testing.T, path string) {
	t.Helper()
	site := s.edge.serving().Sites[0]
	r := site.Route(http.MethodGet, path, "", http.Header{})
	if err := site.Invalidate(site.Upstreams()[0], []kind.Invalidation{{Scope: kind.OneKey, Name: r.Key}}); err != nil {
		t.Fatal(err)
	}
}

func TestReleaseTree(t *testing.T) {
	t.Parallel()
	s, a, b := newDist(t)
	for path, want := range map[string]string{
		"/index.json": a.files["/index.json"], "/v20.1.0/SHASUMS256.txt": a.files["/v20.1.0/SHASUMS256.txt"],
		"/v20.1.0/SHASUMS256.txt.asc": a.files["/v20.1.0/SHASUMS256.txt.asc"], "/v20.1.0/node-v20.1.0.tar.xz": a.files["/v20.1.0/node-v20.1.0.tar.xz"],
	} {
		if resp, body := s.get(t, path); resp.StatusCode != http.StatusOK || body != want {
			t.Errorf("%s: %d, %d bytes", path, resp.StatusCode, len(body))
		}
	}
	if resp, body := s.get(t, "/v20.1.0/SHASUMS256.txt.gpg"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a signature that is not there: %d %q", resp.StatusCode, body)
	}
	if n := a.count("/v20.1.0/SHASUMS256.txt.asc") + b.count("/v20.1.0/SHASUMS256.txt.asc"); n != 1 {
		t.Errorf("the signature was fetched %d times", n)
	}
	const file = "/v20.1.0/node-v20.1.0.tar.xz"
	resp, part := s.get(t, file, "Range", "bytes=1000000-") // as curl -C - goes on
	if whole := a.files[file]; resp.StatusCode != http.StatusPartialContent || part != whole[1000000:] {
		t.Errorf("a range: %d, %d bytes", resp.StatusCode, len(part))
	}
	if !strings.HasPrefix(resp.Header.Get("Repr-Digest"), "sha-256=:") || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("%v", resp.Header)
	}
	if resp, _ := s.get(t, "/index.json"); strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("the index: %v", resp.Header)
	}
}

func TestWrongFileOfARelease(t *testing.T) {
	s, a, b := newDist(t)
	for _, tr := range []*tree{a, b} {
		tr.release("v20.2.0", "headers.tar.gz", "the headers")
	}
	a.put("/v20.2.0/headers.tar.gz", "other bytes")
	if resp, body := s.get(t, "/v20.2.0/headers.tar.gz"); resp.StatusCode != http.StatusOK || body != "the headers" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// A list that is empty, cut or shorter replaces nothing, and clients do not see
// it.
func TestBadListsAreNotServed(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]string{"empty": "", "no release": "[]", "cut": `[{"version":"v20`, "shorter": indexOf("v18.0.0"), "a page": "<html>"} {
		s, a, b := newDist(t)
		_, good := s.get(t, "/index.json")
		a.put("/index.json", bad)
		b.put("/index.json", bad)
		s.stale(t, "/index.json")
		if resp, body := s.get(t, "/index.json"); resp.StatusCode != http.StatusOK || body != good {
			t.Errorf("%s: %d %q", name, resp.StatusCode, body)
		}
	}
}

// A release is not announced before its list and the files that the index names
// are there, whether the master can validate its index or not.
func TestIndexIsHeldBack(t *testing.T) {
	for name, mute := range map[string]bool{"with validators": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			s, a, b := newDist(t)
			both := func(f func(tr *tree)) { f(a); f(b) }
			both(func(tr *tree) { tr.mute = mute })
			_, before := s.get(t, "/index.json")
			after := `[{"version":"v20.2.0","files":["src"]},{"version":"v20.1.0"}]`
			both(func(tr *tree) { tr.put("/index.json", after) })
			want := func(what, body, detail string) {
				t.Helper()
				s.stale(t, "/index.json")
				resp, got := s.get(t, "/index.json")
				if resp.StatusCode != http.StatusOK || got != body || !strings.HasSuffix(resp.Header.Get("Cache-Status"), "; detail="+detail) {
					t.Errorf("%s: %d %q, %q", what, resp.StatusCode, got, resp.Header.Get("Cache-Status"))
				}
			}
			want("nothing is there", before, "revalidated")
			want("still nothing", before, "revalidated")
			both(func(tr *tree) { tr.release("v20.2.0", "x", "x") })
			want("the list is there", before, "revalidated")
			both(func(tr *tree) { tr.put("/v20.2.0/node-v20.2.0.tar.gz", "src") })
			want("all is there", after, "miss")
			if n := a.count("/v20.2.0/node-v20.2.0.tar.gz") + b.count("/v20.2.0/node-v20.2.0.tar.gz"); n != 0 {
				t.Errorf("a file was fetched %d times to see that it is there", n)
			}
		})
	}
}

// A list may be signed anew without being changed: that its master calls it
// unchanged says nothing of the signatures.
func TestNewSignatureOfTheSameList(t *testing.T) {
	s, a, b := newDist(t)
	const list, sig = "/v20.1.0/SHASUMS256.txt", "/v20.1.0/SHASUMS256.txt.sig"
	for _, signature := range []string{"\x88first", "\x88second", "\x88third"} {
		a.put(sig, signature)
		b.put(sig, signature)
		s.stale(t, list)
		if _, body := s.get(t, list); body != a.files[list] {
			t.Errorf("the list is %q", body)
		}
		if _, body := s.get(t, sig); body != signature {
			t.Errorf("the signature is %q; want %q", body, signature)
		}
	}
	s.stale(t, list)
	a.server.Close()
	b.server.Close()
	if _, body := s.get(t, sig); body != "\x88third" {
		t.Errorf("with every master down the signature is %q", body)
	}
}

// Release trees state one lifetime for all of their paths. A document that
// moves is used for minutes, a list for longer the older it is, and a file of a release for a
// year.
func TestLifetimesInAReleaseTree(t *testing.T) {
	t.Parallel()
	s, a, b := newDist(t)
	now := time.Now()
	for _, tt := range []struct {
		path    string
		age     time.Duration // since it was modified
		control string
		want    time.Duration // at least that, less a minute, and no more
	}{
		{"/index.json", 1000 * time.Hour, "public, max-age=3600, s-maxage=14400", 5 * time.Minute},
		{"/index.json", 1000 * time.Hour, "public, max-age=120", 2 * time.Minute},
		{"/index.json", 1000 * time.Hour, "", 5 * time.Minute},
		{"/latest/x", 1000 * time.Hour, "public, max-age=3600, s-maxage=14400", 5 * time.Minute},
		{"/v20.1.0/SHASUMS256.txt", 0, "public, max-age=3600, s-maxage=14400", 5 * time.Minute},
		{"/v20.1.0/SHASUMS256.txt", 10 * time.Hour, "public, max-age=3600, s-maxage=14400", time.Hour},
		{"/v20.1.0/SHASUMS256.txt.asc", 10000 * time.Hour, "public, max-age=3600, s-maxage=14400", 24 * time.Hour},
		{"/latest/SHASUMS256.txt", 10000 * time.Hour, "public, max-age=3600, s-maxage=14400", 5 * time.Minute},
		{"/v20.1.0/node-v20.1.0.tar.xz", 0, "public, max-age=3600, s-maxage=14400", 8760 * time.Hour},
		{"/v20.1.0/node-v20.1.0-linux-late.tar.xz", 0, "public, max-age=3600, s-maxage=14400", 10 * time.Second},
	} {
		for _, tr := range []*tree{a, b} {
			tr.mu.Lock()
			tr.fields = map[string]string{"Last-Modified": now.Add(-tt.age).UTC().Format(http.TimeFormat), "Cache-Control": tt.control}
			tr.files["/latest/x"], tr.files["/latest/SHASUMS256.txt"] = "x", fmt.Sprintf("%x  x\n", sha256.Sum256([]byte("x")))
			tr.mu.Unlock()
		}
		site := s.edge.serving().Sites[0]
		if err := s.edge.cache.Purge(purge.Purge{Scope: purge.Site, Site: site.Name}); err != nil {
			t.Fatal(err)
		}
		resp, _ := s.get(t, tt.path)
		var seconds int
		fmt.Sscanf(resp.Header.Get("Cache-Control"), "public, max-age=%d", &seconds)
		if got := time.Duration(seconds) * time.Second; got > tt.want || got <= tt.want-time.Minute {
			t.Errorf("%s, modified %v ago, %q: clients are told %v; want %v", tt.path, tt.age, tt.control, got, tt.want)
		}
	}
}
