package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/origin/feed"
	"pkgedge/origin/kind"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// packed is a packument at hand, for filling a store.
type packed struct{}

func (packed) Fetch(_ context.Context, _ cache.Ask, fill *cache.Fill) error {
	const body = `{"name":"x","versions":{}}`
	if err := fill.Respond(http.StatusOK, http.Header{"Cache-Control": {"max-age=36000"}}, int64(len(body))); err != nil {
		return err
	}
	_, err := fill.Write([]byte(body))
	return err
}

// backlog stores packuments, and returns the changes of all packages, of which
// every fifth is stored.
func backlog(t testing.TB, s *site, n int) []feed.Change {
	t.Helper()
	var all []feed.Change
	for i := range n {
		c := feed.Change{Name: fmt.Sprintf("@scope/package-%d", i)}
		all = append(all, c)
		if i%5 > 0 {
			continue
		}
		ch, ok := s.change(c)
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

// Of a backlog, what is stored becomes stale and nothing else is marked: the feed
// names millions of packages.
func TestABacklogPurgesWhatIsStored(t *testing.T) {
	s := newServed(t, "").edge.handler.running.Load().sites[0]
	all := backlog(t, s, 2000)
	if n := len(s.concerned(all)); n != 400 {
		t.Fatalf("%d are concerned", n)
	}
	if err := s.changed(all); err != nil {
		t.Fatal(err)
	}
	for i, c := range all {
		ch, _ := s.change(c)
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
	for _, c := range []feed.Change{all[0], all[len(all)-1]} { // so that their files are asked of the primary
		if !s.own.Written(kind.Route{Group: c.Name}) {
			t.Errorf("%s is not pinned", c.Name)
		}
	}
}

// asking is a fetcher that tells that it was asked.
type asking func()

func (f asking) Fetch(ctx context.Context, ask cache.Ask, fill *cache.Fill) error {
	f()
	return packed{}.Fetch(ctx, ask, fill)
}

// BenchmarkBacklog applies 10,000 changes, of which 2,000 are stored, in batches as
// they come.
func BenchmarkBacklog(b *testing.B) {
	s := newBenchEdge(b, sample.NewStore(), "").handler.running.Load().sites[0]
	all := backlog(b, s, 10_000)
	for b.Loop() {
		for i := 0; i < len(all); i += 1000 {
			if err := s.changed(all[i : i+1000]); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkPublishToVisible is the time from the end of a publish at the master
// until a read at the edge has it, asked for in a loop.
func BenchmarkPublishToVisible(b *testing.B) {
	for _, mode := range []feed.Mode{feed.Couch, feed.Poll} {
		b.Run(string(mode), func(b *testing.B) {
			store := sample.NewStore()
			e := newBenchEdge(b, store, string(mode))
			for !e.handler.running.Load().sites[0].feed.Live() {
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
func newBenchEdge(b *testing.B, store *sample.Store, mode string) *edge {
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
	e := newEdge(cfg, io.Discard, quietLog())
	if e.cache, err = cache.Open(cache.Config{Memory: 64 << 20, Disk: 1 << 30, Dir: cfg.Cache.Dir, MaxObject: 1 << 20}); err != nil {
		b.Fatal(err)
	}
	c, err := e.build(cfg, nil)
	if err != nil {
		b.Fatal(err)
	}
	e.begin(c)
	b.Cleanup(e.close)
	return e
}
