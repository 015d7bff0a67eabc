package daemon

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pkgedge/edge/admin"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet/figures"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// popOf is some edges of one pop before a master, and the bucket that all pops share.
type popOf struct {
	store  *sample.Store
	master *faults.Master
	url    string
	peers  []string
	bucket *bucket
	edges  []*testEdge
	client *http.Client
	keys   string // of the fleet, by which siblings know each other
}

func newPopOf(t *testing.T, n int, keys string) *popOf {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	p := &popOf{store: store, master: faults.NewMaster(store), bucket: newBucket(t), client: edgetest.NewClient(t, nil), keys: keys}
	s, err := p.master.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	p.url = s.URL()
	p.join(t, n)
	return p
}

// join starts n edges of one pop, which know themselves.
func (p *popOf) join(t *testing.T, n int) {
	t.Helper()
	p.reserve(t, n)
	for i := range n {
		p.open(t, i)
	}
	p.meet(t)
}

// reserve makes a list of n edges, of which none is there yet.
func (p *popOf) reserve(t *testing.T, n int) {
	t.Helper()
	p.peers, p.edges = nil, nil
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p.peers = append(p.peers, l.Addr().String())
		l.Close() // it is opened again below
	}
}

// open starts an edge of the list.
func (p *popOf) open(t *testing.T, i int) {
	t.Helper()
	cfg := configured(t, fmt.Sprintf(`
admin: { listen: '' }
log: { access: 'off' }
sites: [{ name: npm, probe: { every: 1h }, masters: [{ url: %q, role: primary }] }]
fleet:
  name: edge-%d
  pop: here
  listen: %q
  %s
  peers: ["%s"]
  store: { url: "s3://bucket/here", endpoint: %q, key: "", secret: "" }
`, p.url, i, p.peers[i], p.keys, strings.Join(p.peers, `", "`), p.bucket.URL))
	cfg.Cache.Memory, cfg.Cache.Dir = 1<<20, fastDir(t)
	e := newTestDaemon(t, cfg, edgetest.QuietLog())
	cfg.PublicURL = &url.URL{Scheme: "http", Host: cfg.Listen}
	if err := e.openPop(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.openTestCache(t)
	e.runPop()
	serveEdge(t, e)
	p.edges = append(p.edges, e)
}

// meet waits until the edges know themselves.
func (p *popOf) meet(t *testing.T) {
	t.Helper()
	for _, e := range p.edges {
		edgetest.Until(t, "an edge that knows itself", func() bool {
			return slices.ContainsFunc(e.pop.Siblings.Status().Members, func(m figures.Member) bool { return m.State == "self" })
		})
	}
}

// get is the request of a client to an edge.
func (p *popOf) get(t *testing.T, e *testEdge, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.cfg.PublicURL.String()+path, nil)
	if err != nil {
		t.Error(err)
		return nil
	}
	resp, err := p.client.Do(req)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %d, %v", path, resp.StatusCode, err)
	}
	return body
}

// A file that the system sends is followed by nothing, so that its connection can be used again.
func TestASiblingIsSentNoMoreThanTheFile(t *testing.T) {
	p := newPopOf(t, 1, byToken)
	path := "/edge-sample-payload/-/edge-sample-payload-1.0.0.tgz"
	want := p.get(t, p.edges[0], path)
	p.edges[0].settle(t)
	c, err := net.Dial("tcp", p.peers[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for range 3 {
		fmt.Fprintf(c, "GET /fleet/v1/npm%s HTTP/1.1\r\nHost: edge\r\nAuthorization: Bearer a-token-of-the-fleet\r\n\r\n", path)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, want) || resp.StatusCode != http.StatusOK {
			t.Fatalf("answered %d with %d bytes, want %d; %v", resp.StatusCode, len(got), len(want), err)
		}
		if n := r.Buffered(); n > 0 {
			t.Fatalf("%d bytes follow", n)
		}
	}
}

const byToken = "token: a-token-of-the-fleet"

var tarballs = []string{
	"/edge-sample-words/-/edge-sample-words-1.0.0.tgz", "/edge-sample-payload/-/edge-sample-payload-1.0.0.tgz",
	"/edge-sample-app/-/edge-sample-app-1.0.0.tgz", "/@edge-sample/colour/-/colour-1.0.0.tgz",
}

func (p *popOf) downloads() int { return p.master.Count(faults.Suffix(".tgz")) }

// Edges of one pop fetch each file once. A pop that joins empty has all of them from the
// bucket.
func TestAPopFetchesOnce(t *testing.T) {
	t.Parallel()
	p := newPopOf(t, 3, byToken)
	want := make(map[string][]byte)
	for _, path := range tarballs {
		var clients sync.WaitGroup
		got := make([][]byte, 12)
		for i := range got {
			clients.Go(func() { got[i] = p.get(t, p.edges[i%3], path) })
		}
		clients.Wait()
		want[path] = got[0]
		for _, body := range got {
			if !bytes.Equal(body, got[0]) || len(body) == 0 {
				t.Errorf("%s: %d bytes, and %d", path, len(body), len(got[0]))
			}
		}
	}
	if n := p.downloads(); n != len(tarballs) {
		t.Errorf("%d downloads of %d files", n, len(tarballs))
	}
	put := func() (n int64) {
		for _, e := range p.edges {
			n += e.pop.Store.Status().Put
		}
		return n
	}
	edgetest.Until(t, "the files in the bucket", func() bool { return put() == int64(len(tarballs)) })
	status := p.edges[0].report()
	if f := status.Fleet; f == nil || f.Name != "edge-0" || len(f.Siblings.Members) != 3 || f.Store.State != "well" {
		t.Errorf("%+v", f)
	}
	if text := status.Text(); !strings.Contains(text, p.peers[0]+" (self, owner of 33 %)") {
		t.Errorf("the status says:\n%s", text)
	}

	p.master.Forget()
	p.join(t, 2)
	for path, body := range want {
		for _, e := range p.edges {
			if got := p.get(t, e, path); !bytes.Equal(got, body) {
				t.Errorf("%s at another pop: %d bytes, want %d", path, len(got), len(body))
			}
		}
	}
	if n := p.downloads(); n > 1 { // the store has 50 ms, which a busy machine may need for itself
		t.Errorf("another pop made %d downloads", n)
	}
}

// An edge that joins empty has its files from the others, also those that it owns from now on: the
// edge that owned them before has them.
func TestAnEdgeThatJoinsSparesTheMasters(t *testing.T) {
	const files = 200
	p := newPopOf(t, 0, byToken)
	var versions []sample.Version
	for i := range files {
		versions = append(versions, sample.Version{Number: fmt.Sprintf("1.0.%d", i)})
	}
	if err := p.store.AddPackage("many", versions...); err != nil {
		t.Fatal(err)
	}
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	p.bucket.fault.Store(&broken)
	p.reserve(t, 4)
	for i := range 3 {
		p.open(t, i)
	}
	p.meet(t)
	ask := func(n int, e *testEdge) []byte { return p.get(t, e, fmt.Sprintf("/many/-/many-1.0.%d.tgz", n)) }
	want := make([][]byte, files)
	for n := range want {
		want[n] = ask(n, p.edges[n%3])
	}
	if n := p.downloads(); n != files {
		t.Errorf("%d downloads of %d files", n, files)
	}
	for _, e := range p.edges {
		e.settle(t)
	}
	p.master.Forget()
	p.open(t, 3)
	p.meet(t)
	for n := range want {
		if got := ask(n, p.edges[3]); !bytes.Equal(got, want[n]) {
			t.Errorf("file %d: %d bytes, want %d", n, len(got), len(want[n]))
		}
	}
	asked := p.master.Count(faults.Any)
	if s := p.edges[3].pop.Siblings.Status(); s.Answered < files*95/100 || asked > files*5/100 {
		t.Errorf("%d of %d files from siblings, and %d requests at the master: %+v", s.Answered, files, asked, s)
	}
}

// Siblings know each other by certificates, and by a token besides where there is one.
func TestSiblingsByCertificate(t *testing.T) {
	pair := func(name string) (cert, key string) {
		return edgetest.MakePairOf(t, t.TempDir(), name, func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
		})
	}
	cert, key := pair("own")
	otherCert, otherKey := pair("another")
	load := func(cert, key string) *tls.Config {
		p, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{Certificates: []tls.Certificate{p}, InsecureSkipVerify: true}
	}
	for _, tt := range []struct {
		name, more string
		own        int // the status for one with the certificate, and no token
	}{
		{"by certificate", "", http.StatusNotFound},
		{"and by token", "\n  " + byToken, http.StatusUnauthorized},
	} {
		p := newPopOf(t, 2, fmt.Sprintf("tls: { cert: %q, key: %q, ca: %q }%s", cert, key, cert, tt.more))
		var clients sync.WaitGroup
		for i := range 6 {
			clients.Go(func() { p.get(t, p.edges[i%2], tarballs[0]) })
		}
		clients.Wait()
		if n := p.downloads(); n != 1 {
			t.Errorf("%s: %d downloads", tt.name, n)
		}
		address := "https://" + p.peers[0] + "/fleet/v1/nosite/x"
		for who, config := range map[string]*tls.Config{"nobody": {InsecureSkipVerify: true}, "another authority": load(otherCert, otherKey)} {
			if resp, _, err := edgetest.GetText(t, edgetest.NewClient(t, config), address); err == nil {
				t.Errorf("%s: %s is answered %d", tt.name, who, resp.StatusCode)
			}
		}
		resp, _, err := edgetest.GetText(t, edgetest.NewClient(t, load(cert, key)), address)
		if err != nil || resp.StatusCode != tt.own {
			t.Errorf("%s: a certificate alone: %v, %v", tt.name, resp, err)
		}
	}
}

// A wrong file in the bucket is found out. A hard purge deletes a package's files there.
func TestABucketIsNotBelieved(t *testing.T) {
	p := newPopOf(t, 1, byToken)
	e := p.edges[0]
	want := p.get(t, e, tarballs[0])
	edgetest.Until(t, "the file in the bucket", func() bool { return e.pop.Store.Status().Put == 1 })
	p.bucket.spoil()
	p.join(t, 1)
	e = p.edges[0]
	if got := p.get(t, e, tarballs[0]); !bytes.Equal(got, want) || p.downloads() != 2 {
		t.Errorf("%d bytes, want %d, in %d downloads", len(got), len(want), p.downloads())
	}
	if _, err := (purger{e.Daemon}).Purge(t.Context(), admin.Purge{Package: "edge-sample-words"}); err != nil {
		t.Fatal(err)
	}
	edgetest.Until(t, "the end of the purge", func() bool { s := e.pop.Store.Status(); return s.Deleted == 1 && s.Purging == 0 })
	if n := p.bucket.count(); n != 0 {
		t.Errorf("%d objects are left", n)
	}
}

// bucket is an S3 server that asks for no signatures.
type bucket struct {
	*httptest.Server
	fault   atomic.Pointer[http.HandlerFunc] // answers instead, nil for none
	mu      sync.Mutex
	objects map[string]stored
}

type stored struct {
	about string
	body  []byte
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	b := &bucket{objects: make(map[string]stored)}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if fault := b.fault.Load(); fault != nil {
		(*fault)(w, r)
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/bucket/")
	b.mu.Lock()
	defer b.mu.Unlock()
	switch o, has := b.objects[key]; {
	case r.Method == http.MethodPut:
		b.objects[key] = stored{r.Header.Get("X-Amz-Meta-Edge"), body}
	case r.Method == http.MethodDelete:
		delete(b.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case key == "":
		io.WriteString(w, "<ListBucketResult>")
		for name := range b.objects {
			if strings.HasPrefix(name, r.URL.Query().Get("prefix")) {
				fmt.Fprintf(w, "<Contents><Key>%s</Key></Contents>", name)
			}
		}
		io.WriteString(w, "</ListBucketResult>")
	case !has:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("X-Amz-Meta-Edge", o.about)
		w.Write(o.body)
	}
}

// spoil inverts a bit of each file.
func (b *bucket) spoil() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.objects {
		if len(o.body) > 0 {
			o.body[len(o.body)-1] ^= 1
		}
	}
}

func (b *bucket) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.objects)
}
