package daemon

import (
	"net/http"
	"strings"
	"testing"

	"pkgedge/cache/purge"
	"pkgedge/origin/sample/faults"
)

// RFC 9110 section 7.7: a document whose origin forbids to change its content has
// no coding of the edge's own, and the caches in front hear of it. That tarballs
// are fetched through the edge is another matter, see docs/http.md.
func TestNoTransform(t *testing.T) {
	s := newServed(t, "")
	const path = "/edge-sample-words"
	for _, tt := range []struct {
		path, control, accept, coding string
	}{
		{path, "public, max-age=300", "", "zstd"},
		{path, "public, max-age=300, no-transform", "", ""},
		{path, "public, max-age=300, no-transform", abbreviatedType, ""},
		{path, "public, max-age=300, No-Transform", abbreviatedType, ""},
		{path, "public, max-age=300", abbreviatedType, "zstd"},
		{path + "/-/edge-sample-words-1.0.0.tgz", "public, max-age=300, no-transform", "", ""},
	} {
		if err := s.edge.cache.Purge(purge.Purge{Scope: purge.All}); err != nil {
			t.Fatal(err)
		}
		var rules []*faults.Rule
		for _, m := range s.masters {
			rules = append(rules, m.Break(faults.Any, faults.Set("Cache-Control", tt.control)))
		}
		for range 2 { // as it comes, and as it is stored
			resp, body := s.get(t, tt.path, "Accept", tt.accept, "Accept-Encoding", "gzip, zstd")
			if resp.StatusCode != http.StatusOK {
				t.Fatal(resp.Status)
			}
			if got := resp.Header.Get("Content-Encoding"); got != tt.coding {
				t.Errorf("%s under %q: coding %q, want %q", tt.accept, tt.control, got, tt.coding)
			}
			control := resp.Header.Get("Cache-Control")
			if said, says := strings.Contains(strings.ToLower(tt.control), "no-transform"), strings.Contains(control, "no-transform"); said != says {
				t.Errorf("%s under %q: the client is told %q", tt.accept, tt.control, control)
			}
			if tt.path == path && tt.coding == "" && !strings.Contains(body, s.url+path+"/-/") {
				t.Errorf("%s under %q: tarballs are not fetched through the edge", tt.accept, tt.control)
			}
		}
		for _, r := range rules {
			r.Mend()
		}
	}
}
