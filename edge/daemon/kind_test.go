package daemon

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
	"pkgedge/origin/kind/kindtest/shelf"
)

// A new kind is a folder, here shelf, and a line, here the last argument of
// newTestEdge and of decode: configuration keys, defaults, routes, policy,
// documents and digests come with it.
func TestANewKindIsOneFolderAndOneLine(t *testing.T) {
	master := newTree(t)
	page := "It is a truth universally acknowledged"
	list := fmt.Sprintf("%x one\n%x two\n", sha256.Sum256([]byte(page)), sha256.Sum256([]byte("another page")))
	for path, body := range map[string]string{"/emma": list, "/emma/one": page, "/emma/two": page, "/dracula": list} {
		master.put(path, body)
	}
	s := &served{behind: &behind{}, client: edgetest.NewClient(t, nil)}
	s.edge = newTestEdge(t, fmt.Sprintf(
		"sites: [{ name: books, kind: shelf, path: /books, banned: [dracula], print: { loud: true }, masters: [{ url: %q, role: primary }] }]", master.server.URL),
		true, shelf.Descriptor())
	s.url = s.edge.cfg.PublicURL.String() + "/books"
	serveEdge(t, s.edge)

	site := s.edge.cfg.Sites[0]
	if site.Fresh.Metadata != 7*time.Minute || site.Fresh.Files != 100*time.Hour || site.Fresh.Missing != 3*time.Second || site.Stale.Override {
		t.Errorf("defaults are %+v, %+v", site.Fresh, site.Stale)
	}
	var printed strings.Builder
	if err := s.edge.cfg.Print(&printed); err != nil || !strings.Contains(printed.String(), "\n  banned    dracula\n") || !strings.Contains(printed.String(), "kind shelf at ") {
		t.Errorf("%v: printed is\n%s", err, printed.String())
	}
	for _, want := range []string{"edge; fwd=uri-miss; fwd-status=200; stored; ttl=4", "edge; hit"} {
		resp, body := s.get(t, "/emma")
		if got := resp.Header.Get("Cache-Status"); resp.StatusCode != http.StatusOK || body != strings.ToUpper(list) || !strings.HasPrefix(got, want) {
			t.Errorf("the book: %d %q, Cache-Status %q; want %q", resp.StatusCode, body, got, want)
		}
	}
	if n := master.count("/emma"); n != 1 {
		t.Errorf("the master was asked %d times", n)
	}
	if resp, body := s.get(t, "/emma/one"); resp.StatusCode != http.StatusOK || body != page || resp.Header.Get("Repr-Digest") == "" {
		t.Errorf("a page: %d %q, %v", resp.StatusCode, body, resp.Header)
	}
	if resp, _ := s.get(t, "/emma/two"); resp.StatusCode < 500 {
		t.Errorf("a page that is not the one of its digest: %d", resp.StatusCode)
	}
	if resp, body := s.get(t, "/dracula"); resp.StatusCode != http.StatusUnavailableForLegalReasons || !strings.Contains(body, "dracula is banned here") {
		t.Errorf("a banned book: %d %q", resp.StatusCode, body)
	}
}

func TestKeysOfANewKindAreChecked(t *testing.T) {
	const masters = `, masters: [{ url: "http://m.example", role: primary }]`
	for _, tt := range []struct{ site, want string }{
		{"name: n, banned: [emma]", "sites[0].banned: names books, which a npm site has none of: remove the key"},
		{"name: n, print: { loud: true }", "sites[0].print: is about books, which a npm site has none of: remove the key"},
		{"name: n, kind: shelf" + masters + ", banned: [two words]", `sites[0].banned[0]: "two words" is no title: write one word`},
		{"name: n, kind: shelf" + masters + ", deny: [left]", "sites[0].deny: knows packages and versions, which a shelf site has none of: remove the key"},
		{"name: n, kind: shelf" + masters + ", scopes: { '@a': {" + masters[1:] + " } }", "sites[0].scopes: belongs to npm's names, which a shelf site has none of: remove the key"},
		{"name: n, kind: shelf", "sites[0].masters: is empty: a shelf site needs a master; only npm has embedded samples"},
		{"name: n, kind: shelve", `sites[0].kind: "shelve" is not known: did you mean shelf?`},
		{"name: n, baned: [emma]", "sites[0].baned: unknown key: did you mean banned?"},
	} {
		_, err := decode(t, "sites: [{ "+tt.site+" }]", shelf.Descriptor())
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.site, err, tt.want)
		}
	}
	for _, site := range []string{"name: n, banned: []", "name: n, print: { loud: false }"} { // nothing is asked for
		if _, err := decode(t, "sites: [{ "+site+" }]", shelf.Descriptor()); err != nil {
			t.Errorf("%s: %v", site, err)
		}
	}
}
