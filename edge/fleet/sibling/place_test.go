package sibling

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pkgedge/cache"
	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet/members"
	"pkgedge/edge/site"
	"pkgedge/origin"
	"pkgedge/origin/kinds"
	"pkgedge/origin/origintest"
)

// place is some edges that share their fetches, and two masters.
type place struct {
	*origintest.Two
	edges []*edge
}

// edge is one of them: all of an edge but its listener for clients.
type edge struct {
	address  string
	client   *Client
	cache    *cache.Cache
	site     *site.Site
	server   *httptest.Server
	listener *Listener
	before   atomic.Pointer[http.HandlerFunc] // stands before the listener; nil for nothing
}

// ForAnother is that of the only site.
func (e *edge) ForAnother(name, path, query string, client netip.Addr, hops http.Header) (*cache.Query, bool) {
	if name != e.site.Name {
		return nil, false
	}
	return e.site.ForAnother(path, query, client, hops)
}

const secret = "a secret of the fleet"

// settings of a test. The zero one has patience that no busy machine exceeds.
type settings struct {
	silence time.Duration
	alone   bool                                     // there is one master
	extra   string                                   // of the site's configuration
	lists   func(all []string, i int) members.Static // the list of edge i; nil for all
}

func newPlace(t *testing.T, n int, s settings) *place {
	t.Helper()
	p := &place{Two: origintest.NewTwo(t)}
	if s.silence == 0 {
		s.silence = time.Minute
	}
	var all []string
	for range n {
		e := new(edge)
		e.server = httptest.NewUnstartedServer(nil)
		e.address = e.server.Listener.Addr().String()
		all = append(all, e.address)
		p.edges = append(p.edges, e)
	}
	for i, e := range p.edges {
		list := members.NewStatic(all)
		if s.lists != nil {
			list = s.lists(all, i)
		}
		e.start(t, p.URLs, list, s)
	}
	for _, e := range p.edges {
		e.client.Meet(t.Context())
	}
	return p
}

func (e *edge) start(t *testing.T, masters []string, list members.Static, s settings) {
	t.Helper()
	path, replica := filepath.Join(t.TempDir(), "config.yaml"), ""
	if !s.alone {
		replica = fmt.Sprintf("      - { url: %q, role: replica }\n", masters[1])
	}
	edgetest.WriteFile(t, path, fmt.Sprintf("sites:\n  - name: npm\n    kind: npm\n    masters:\n      - { url: %q, role: primary }\n%s%s", masters[0], replica, s.extra))
	cfg, err := config.Load(path, kinds.All(), edgetest.NoEnv)
	if err != nil {
		t.Fatal(err)
	}
	if e.cache, err = cache.Open(cache.Config{Memory: 8 << 20, Disk: 64 << 20, Dir: t.TempDir(), MaxObject: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	e.client = NewClient(Config{Members: list, Token: secret, Silence: s.silence, Longest: time.Minute, Identity: "edge-" + e.address})
	e.site, err = site.New(cfg, &cfg.Sites[0], site.Deps{
		Cache: e.cache, Identity: "edge-" + e.address, Log: edgetest.QuietLog(), Observe: func(string, string, string) {},
		Nearer: func(name string) []origin.Nearer { return []origin.Nearer{e.client.Site(name)} },
	})
	if err != nil {
		t.Fatal(err)
	}
	e.listener = NewListener(Listener{Client: e.client, Cache: e.cache, Sites: func() Sites { return e }})
	e.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before := e.before.Load(); before != nil {
			(*before)(w, r)
			return
		}
		e.listener.ServeHTTP(w, r)
	})
	e.server.Start()
	t.Cleanup(func() {
		e.server.CloseClientConnections()
		e.server.Close()
		e.cache.Close()
		e.site.Close()
		e.client.Close()
	})
}

// get is the request of a client.
func (e *edge) get(ctx context.Context, path string, h http.Header) ([]byte, error) {
	r := e.site.Route(http.MethodGet, path, "", http.Header{})
	u, _ := e.site.Upstream(r)
	q := e.site.Query(u, r, h)
	a, err := e.cache.Get(ctx, q)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("%s: answered %d", path, a.Status)
	}
	body, err := a.Body(ctx, 0)
	if err != nil {
		return nil, err
	}
	if a.Part.Size >= 0 { // other parts may follow
		body = io.LimitReader(body, a.Part.Size)
	}
	got, err := io.ReadAll(body)
	if err == nil && a.Part.Size >= 0 && int64(len(got)) != a.Part.Size {
		err = io.ErrUnexpectedEOF
	}
	return got, err
}

// owner is the edge that fetches a path, and others are the rest.
func (p *place) owner(path string) (owner *edge, others []*edge) {
	address := p.edges[0].client.Owner("npm", path)
	for _, e := range p.edges {
		if e.address == address {
			owner = e
		} else {
			others = append(others, e)
		}
	}
	return owner, others
}

// crowd has n clients at each of some edges ask for a path, and compares the answers.
func crowd(t *testing.T, edges []*edge, n int, path string, want []byte) {
	t.Helper()
	var clients sync.WaitGroup
	for _, e := range edges {
		for range n {
			clients.Go(func() {
				got, err := e.get(t.Context(), path, http.Header{})
				if err != nil {
					t.Errorf("%s: %v", path, err)
				} else if want != nil && !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes, want %d with other content", path, len(got), len(want))
				}
			})
		}
	}
	clients.Wait()
}

// fetches is how many requests for a path came to the masters.
func (p *place) fetches(path string) int {
	n := 0
	for line, count := range p.A.Counts() {
		if line.Path == path && line.Method == http.MethodGet {
			n += count
		}
	}
	for line, count := range p.B.Counts() {
		if line.Path == path && line.Method == http.MethodGet {
			n += count
		}
	}
	return n
}

// stand stands before an edge's listener.
func (e *edge) stand(before http.HandlerFunc) { e.before.Store(&before) }
