package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"pkgedge/origin/kind"
	"pkgedge/origin/sample"
)

// tree is a master of a release tree.
type tree struct {
	mu     sync.Mutex
	files  map[string]string
	asked  map[string]int
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
	tr.asked[r.URL.Path]++
	tr.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
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
	body := string(sample.Noise("dist", 2<<20))
	for _, tr := range []*tree{a, b} {
		tr.release("v20.1.0", "node-v20.1.0.tar.xz", body)
		tr.put("/index.json", indexOf("v20.1.0"))
	}
	s = &served{behind: &behind{}, client: newClient(t, nil)}
	s.edge = newTestEdge(t, fmt.Sprintf("sites: [{ name: dist, kind: dist, path: /dist/, masters: [{ url: %q, role: primary }, { url: %q, role: replica }] }]",
		a.server.URL, b.server.URL), true)
	s.url = s.edge.cfg.PublicURL.String() + "/dist"
	serveEdge(t, s.edge)
	return s, a, b
}

// stale makes what is stored for a path stale.
func (s *served) stale(t *testing.T, path string) {
	t.Helper()
	site := s.edge.handler.running.Load().sites[0]
	r := site.origin.Route(kind.Request{Method: http.MethodGet, Path: path})
	if err := site.touched([]kind.Mark{{Scope: kind.OneKey, Name: r.Key}}); err != nil {
		t.Fatal(err)
	}
}

func TestReleaseTree(t *testing.T) {
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

// A release is not announced before it is there.
func TestIndexIsHeldBack(t *testing.T) {
	s, a, b := newDist(t)
	_, before := s.get(t, "/index.json")
	after := indexOf("v20.2.0", "v20.1.0")
	a.put("/index.json", after)
	b.put("/index.json", after)
	s.stale(t, "/index.json")
	if _, body := s.get(t, "/index.json"); body != before {
		t.Errorf("too early: %q", body)
	}
	a.release("v20.2.0", "x", "x")
	b.release("v20.2.0", "x", "x")
	s.stale(t, "/index.json")
	if _, body := s.get(t, "/index.json"); body != after {
		t.Errorf("too late: %q", body)
	}
}
