package origin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pkgedge/origin/kind"
	"pkgedge/origin/kinds"
	"pkgedge/origin/npm"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const publicBase = "https://edge.example/npm"

// recorder is a Sink that keeps what it is given.
type recorder struct {
	responds int // calls of Respond and Hold
	status   int
	header   http.Header
	size     int64
	tag      string // as Tag gave it
	held     bool
	parts    []*recorded
	refuse   error  // the answer to Respond and Hold
	onHold   func() // called by Hold

	mu    sync.Mutex
	body  []byte // of a streamed response
	grown chan struct{}
}

type recorded struct {
	variant, contentType, encoding string
	body                           []byte
}

func (r *recorder) Respond(status int, h http.Header, size int64) error {
	r.responds++
	r.status, r.header, r.size = status, h, size
	return r.refuse
}

func (r *recorder) Tag(etag string) { r.tag = etag }

func (r *recorder) Hold(status int, h http.Header, _ int) error {
	r.responds++
	r.status, r.header, r.held = status, h, true
	if r.onHold != nil {
		r.onHold()
	}
	return r.refuse
}

func (r *recorder) Part(variant, contentType, encoding string) error {
	r.parts = append(r.parts, &recorded{variant: variant, contentType: contentType, encoding: encoding})
	return nil
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.held {
		last := r.parts[len(r.parts)-1]
		last.body = append(last.body, p...)
		return len(p), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.body = append(r.body, p...)
	if r.grown != nil {
		close(r.grown)
		r.grown = nil
	}
	return len(p), nil
}

// await waits until n bytes of the body are there.
func (r *recorder) await(t *testing.T, n int) {
	t.Helper()
	for {
		r.mu.Lock()
		have := len(r.body)
		if have >= n {
			r.mu.Unlock()
			return
		}
		if r.grown == nil {
			r.grown = make(chan struct{})
		}
		grown := r.grown
		r.mu.Unlock()
		select {
		case <-grown:
		case <-t.Context().Done():
			t.Fatalf("%d bytes came, want %d", have, n)
		}
	}
}

// part returns the part of a variant in a coding.
func (r *recorder) part(t *testing.T, variant, encoding string) []byte {
	t.Helper()
	for _, p := range r.parts {
		if p.variant == variant && p.encoding == encoding {
			return p.body
		}
	}
	t.Fatalf("no part %q in coding %q", variant, encoding)
	return nil
}

// behind is a site under test and what it reported.
type behind struct {
	*Site
	mu      sync.Mutex
	reports []string // "A 200", with the masters named A, B, C in their order
}

// option changes a site's configuration.
type option func(*Config)

func ofKind(name string) option {
	return func(c *Config) { c.Kind = *kind.ByName(kinds.All(), name) }
}
func waits(w Timeouts) option    { return func(c *Config) { c.Timeouts = w } }
func maxMetadata(n int64) option { return func(c *Config) { c.MaxMetadata = n } }

// listedBy makes list the source of digests.
func listedBy(list func(renew bool) ([]byte, error)) option {
	return func(c *Config) {
		c.Digests = func(_ context.Context, _ kind.Route, _ http.Header, renew bool) ([]byte, error) { return list(renew) }
	}
}

// patient waits far longer than any test: where a time limit is the subject, the
// test sets it.
var patient = Timeouts{Connect: time.Minute, FirstByte: time.Minute, Idle: time.Minute}

// newBehind makes a site of masters at base URLs; the first is the primary.
// Digests are fetched from the masters, as the edge does.
func newBehind(t *testing.T, urls []string, options ...option) *behind {
	t.Helper()
	b := &behind{}
	cfg := Config{
		Kind: npm.Descriptor(), PublicBase: publicBase, Timeouts: patient, MaxMetadata: 64 << 20, Identity: "edge-test",
		Observe: func(master, result string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			name := string(rune('A' + slices.Index(urls, master)))
			b.reports = append(b.reports, name+" "+result)
		},
	}
	cfg.Digests = func(ctx context.Context, list kind.Route, _ http.Header, _ bool) ([]byte, error) {
		r := &recorder{}
		if err := b.Fetch(ctx, Ask{Route: list}, r); err != nil {
			return nil, err
		}
		for _, p := range r.parts {
			if p.variant == kind.Summary {
				return p.body, nil
			}
		}
		return nil, fmt.Errorf("no digests in a %d", r.status)
	}
	for i, u := range upstreamsOf(t, urls) {
		u.Primary = i == 0
		cfg.Masters = append(cfg.Masters, u)
	}
	for _, o := range options {
		o(&cfg)
	}
	var err error
	if b.Site, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	for _, p := range b.pools() {
		p.random = func(int) int { return 0 } // the masters in their order, where nothing else decides,
		p.near = time.Hour                    // and not how busy this machine is
	}
	t.Cleanup(b.Close)
	return b
}

func upstreamsOf(t *testing.T, urls []string) (all []Upstream) {
	t.Helper()
	for _, s := range urls {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Upstream{URL: u})
	}
	return all
}

// reported returns what happened at the masters so far.
func (b *behind) reported() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.reports)
}

// route names what a client asks for.
func (b *behind) route(path string) kind.Route {
	return b.Route(kind.Request{Method: http.MethodGet, Path: path, Header: http.Header{}})
}

// get fetches what a client asks for.
func (b *behind) get(t *testing.T, path string) (*recorder, error) {
	t.Helper()
	return b.ask(t, Ask{Route: b.route(path)})
}

func (b *behind) ask(t *testing.T, a Ask) (*recorder, error) {
	t.Helper()
	if !a.Route.Class.Cacheable() {
		t.Fatalf("not cacheable: %+v", a.Route)
	}
	r := &recorder{}
	return r, b.Fetch(t.Context(), a, r)
}

// two are two sample masters that share a store.
type two struct {
	store    *sample.Store
	a, b     *faults.Master
	aS, bS   *sample.Server
	aURL     string
	bothURLs []string
}

func newTwo(t *testing.T) *two {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	w := &two{store: store}
	w.a, w.aS = startMaster(t, store)
	w.b, w.bS = startMaster(t, store)
	w.aURL = w.aS.URL()
	w.bothURLs = []string{w.aS.URL(), w.bS.URL()}
	return w
}

func startMaster(t *testing.T, store *sample.Store, options ...faults.Option) (*faults.Master, *sample.Server) {
	t.Helper()
	m := faults.NewMaster(store, options...)
	s, err := m.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return m, s
}

// serveFunc starts a master that is a function.
func serveFunc(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// download gets a URL past the edge, as it is.
func download(t *testing.T, url string) []byte {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d, %v", url, resp.StatusCode, err)
	}
	return body
}

// last is the newest request that a master got.
func last(t *testing.T, m *faults.Master) faults.Record {
	t.Helper()
	all := m.Requests()
	if len(all) == 0 {
		t.Fatal("no request arrived")
	}
	return all[len(all)-1]
}

// isUnavailable checks that err says so, and returns it in detail.
func isUnavailable(t *testing.T, err error) *Unavailable {
	t.Helper()
	var u *Unavailable
	if !errors.Is(err, ErrUnavailable) || !errors.As(err, &u) {
		t.Fatalf("err = %v; want %v", err, ErrUnavailable)
	}
	return u
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, want %d with other content (%.60q, want %.60q)", what, len(got), len(want), got, want)
	}
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %s; want %s", what, strings.Join(got, ", "), strings.Join(want, ", "))
	}
}
