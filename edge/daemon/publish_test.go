package daemon

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
	"pkgedge/origin/feed"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// BenchmarkPublishToVisible is the time from the end of a publish at the master
// until a read at the edge has it, asked for in a loop.
func BenchmarkPublishToVisible(b *testing.B) {
	for _, mode := range []feed.Mode{feed.Couch, feed.Poll} {
		b.Run(string(mode), func(b *testing.B) {
			store := sample.NewStore()
			e := newBenchEdge(b, store, string(mode))
			for !e.feed().Live() {
				runtime.Gosched()
			}
			for n := 0; b.Loop(); n++ {
				number := fmt.Sprintf("1.0.%d", n)
				if err := store.AddPackage("edge-new", sample.Version{Number: number}); err != nil {
					b.Fatal(err)
				}
				for visible := false; !visible; {
					w := httptest.NewRecorder()
					e.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/edge-new", nil))
					visible = strings.Contains(w.Body.String(), `"`+number+`"`)
				}
			}
		})
	}
}

// newBenchEdge is an edge on a real disk, with a feed in that mode unless it is "".
func newBenchEdge(b *testing.B, store *sample.Store, mode string) *testEdge {
	b.Helper()
	m, err := faults.NewMaster(store, faults.CacheControl("public, max-age=36000")).Start()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.Close)
	text := fmt.Sprintf("log: { access: 'off' }\nsites: [{ name: npm, masters: [{ url: %q, role: primary }]", m.URL())
	if mode != "" {
		text += fmt.Sprintf(", changes: { url: %q, mode: %s }", m.URL(), mode)
	}
	cfg := configured(b, text+" }]")
	cfg.Cache.Dir = b.TempDir()
	cfg.Cache.Memory, cfg.Cache.Disk, cfg.Cache.MaxObject = 64<<20, 1<<30, 1<<20
	e := newTestDaemon(b, cfg, edgetest.QuietLog())
	e.openTestCache(b)
	b.Cleanup(e.close)
	return e
}
