package origin

import (
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/npm"
	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	inARow = 5 // requests that put a master out, see package health

	aPackument = "/edge-sample-words"
	aTarball   = "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
	search     = "/-/v1/search?text=edge-sample"
	login      = "/-/user/org.couchdb.user:me"
	aLogin     = `{"name":"me","password":"secret"}`
)

// fail has so many requests to a master in a row go unanswered.
func fail(p *pool.Pool, m *health.Master, times int) {
	for range times {
		p.Failed(m, &health.Blame{Did: "not answered in time", Unanswered: true})
	}
}

// behind is a site under test and its reports to the metrics.
type behind struct {
	*Site
	mu      sync.Mutex
	reports []string // "A 200", with the masters named A, B, C in their order
}

// option changes a site's configuration.
type option func(*Config)

// filesFrom gives files masters of their own.
func filesFrom(t *testing.T, urls ...string) option {
	return func(c *Config) { c.Files = upstreamsOf(t, urls) }
}

// newBehind makes a site of masters at base URLs; the first is the primary.
func newBehind(t *testing.T, urls []string, options ...option) *behind {
	t.Helper()
	b := &behind{}
	cfg := Config{
		Site: "npm", Kind: npm.Descriptor(), PublicBase: origintest.PublicBase, Timeouts: origintest.Patient(), MaxMetadata: 64 << 20,
		Masters: upstreamsOf(t, urls), Identity: "edge-test",
		Observe: func(master, result string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.reports = append(b.reports, string(rune('A'+slices.Index(urls, master)))+" "+result)
		},
		random:       func(int) int { return 0 }, // the masters in their order, where nothing else decides,
		latencyFloor: time.Hour,                  // and not how busy this machine is
	}
	for _, o := range options {
		o(&cfg)
	}
	var err error
	if b.Site, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	b.Start()
	t.Cleanup(func() {
		if b.Site != nil {
			b.Close()
		}
	})
	return b
}

// close ends the site before the test does.
func (b *behind) close() {
	b.Close()
	b.Site = nil
}

func upstreamsOf(t *testing.T, urls []string) (all []Upstream) {
	t.Helper()
	for i, u := range origintest.URLs(t, urls) {
		all = append(all, Upstream{URL: u, Primary: i == 0})
	}
	return all
}

// reported returns the reports so far.
func (b *behind) reported() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.reports)
}

// get fetches the document or file at a path.
func (b *behind) get(t *testing.T, path string) (*origintest.Recorder, error) {
	t.Helper()
	r := &origintest.Recorder{}
	return r, b.Fetch(t.Context(), Request{Route: b.Route(kind.Request{Method: http.MethodGet, Path: path, Header: http.Header{}})}, r)
}

// send passes a request on, and returns the response with its body read.
func (b *behind) send(t *testing.T, method, path, body string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://edge.example"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(path, "?")
	resp, err := b.Pass(b.Route(kind.Request{Method: method, Path: path, Query: query, Header: req.Header}), netip.Addr{}).RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(read), nil
}
