package daemon

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
)

// Ranges in the npm kind, of tarballs that are cold, on their way, stored, and
// too large to be stored: a range starts one fetch of the whole.

// tarballSize is the least size of the tarball: more than is checked before it
// is released.
const tarballSize = 2 << 20

// registry is an edge in front of one sample master with a large tarball.
type registry struct {
	t       *testing.T
	master  *faults.Master
	edge    *testEdge
	client  *http.Transport
	tarball []byte
	entered chan struct{} // gets one for each request that reaches the edge
}

const tarballPath = "/edge-large/-/edge-large-1.0.0.tgz"

// withLarge is a store with that tarball. It is packed once, since under the race detector
// that takes longer than a test, and no test writes to it.
var withLarge = sync.OnceValues(func() (*sample.Store, error) {
	store := sample.NewStore()
	files := map[string][]byte{"noise": tarball.Noise("range", tarballSize)}
	return store, store.AddPackage("edge-large", sample.Version{Number: "1.0.0", Files: files})
})

func newRegistry(t *testing.T, cacheKeys string) *registry {
	t.Helper()
	store, err := withLarge()
	if err != nil {
		t.Fatal(err)
	}
	master := faults.NewMaster(store)
	server, err := master.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	r := &registry{t: t, master: master, client: &http.Transport{DisableCompression: true}, entered: make(chan struct{}, 64)}
	t.Cleanup(r.client.CloseIdleConnections)
	r.edge = newTestEdge(t, fmt.Sprintf("cache: { %s }\nsites: [{ name: npm, masters: [{ url: %q, role: primary }] }]", cacheKeys, server.URL()), true)
	r.edge.listener.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.entered <- struct{}{}
		r.edge.handler.ServeHTTP(w, q)
	})
	serveEdge(t, r.edge)
	direct, err := http.Get(server.URL() + tarballPath)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Body.Close()
	r.tarball = make([]byte, max(direct.ContentLength, 0))
	if _, err = io.ReadFull(direct.Body, r.tarball); err != nil || len(r.tarball) < tarballSize {
		t.Fatalf("tarball of %d bytes, %v", len(r.tarball), err)
	}
	master.Forget()
	return r
}

// ask sends a request and reads the answer.
func (r *registry) ask(method, set string) (*answered, error) {
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.edge.cfg.PublicURL.String()+tarballPath, nil)
	if err != nil {
		return nil, err
	}
	if set != "" {
		req.Header.Set("Range", "bytes="+set)
	}
	resp, err := r.client.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	// A builder of the right size grows and copies nothing.
	var body strings.Builder
	body.Grow(int(max(resp.ContentLength, 0)))
	_, err = io.Copy(&body, resp.Body)
	return &answered{Response: resp, body: body.String()}, err
}

// check sends a request and compares all of the answer.
func (r *registry) check(set string) {
	r.t.Helper()
	resp, err := r.ask(http.MethodGet, set)
	if err != nil {
		r.t.Errorf("range %s: %v", set, err)
		return
	}
	checkHonest(r.t, resp, 1)
	body := []byte(resp.body)
	size := len(r.tarball)
	part := func(first, end int) {
		r.t.Helper()
		want := fmt.Sprintf("bytes %d-%d/%d", first, end-1, size)
		if resp.StatusCode != 206 || resp.Header.Get("Content-Range") != want || !bytes.Equal(body, r.tarball[first:end]) {
			r.t.Errorf("range %s: status %d, %v, %d bytes; want %s", set, resp.StatusCode, resp.Header, len(body), want)
		}
	}
	switch set {
	case "":
		if resp.StatusCode != 200 || !bytes.Equal(body, r.tarball) {
			r.t.Errorf("status %d, %d bytes", resp.StatusCode, len(body))
		}
	case "100-199":
		part(100, 200)
	case "1000000-":
		part(1000000, size)
	case "-100":
		part(size-100, size)
	case "100-199, 1000000-1000099":
		r.parts(resp, body, [][2]int{{100, 200}, {1000000, 1000100}})
	case "1000000-1000099, 100-199":
		if resp.StatusCode == 200 && bytes.Equal(body, r.tarball) {
			return // as RFC 9110 section 14.2 allows
		}
		r.parts(resp, body, [][2]int{{1000000, 1000100}, {100, 200}})
	case "90000000-":
		if want := fmt.Sprintf("bytes */%d", size); resp.StatusCode != 416 || resp.Header.Get("Content-Range") != want || len(body) > 0 {
			r.t.Errorf("range %s: status %d, %v", set, resp.StatusCode, resp.Header)
		}
	default:
		r.t.Fatalf("no expectation of %s", set)
	}
}

// parts compares a multipart/byteranges body.
func (r *registry) parts(resp *answered, body []byte, want [][2]int) {
	r.t.Helper()
	_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode != http.StatusPartialContent || err != nil {
		r.t.Errorf("status %d, %v", resp.StatusCode, resp.Header)
		return
	}
	m := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for _, w := range want {
		p, err := m.NextPart()
		if err != nil {
			r.t.Error(err)
			return
		}
		got, err := io.ReadAll(p)
		if err != nil || !bytes.Equal(got, r.tarball[w[0]:w[1]]) {
			r.t.Errorf("part %v: %d bytes, %v", p.Header, len(got), err)
		}
	}
}

// fetched is how often the master was asked for the tarball.
func (r *registry) fetched() int { return r.master.Count(faults.Suffix(".tgz")) }

var rangeSets = []string{"100-199", "1000000-", "-100", "100-199, 1000000-1000099", "1000000-1000099, 100-199", "90000000-", ""}

func TestRangesOfATarball(t *testing.T) {
	for _, set := range rangeSets {
		t.Run("cold "+set, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t, "")
			r.check(set)
			r.check("") // the fill goes on for the next client
			if n := r.fetched(); n != 1 {
				t.Errorf("fetched %d times", n)
			}
		})
		t.Run("too large to keep "+set, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t, "max_object: 1MiB")
			r.check(set)
			if n := r.fetched(); n != 1 {
				t.Errorf("fetched %d times", n)
			}
			for _, q := range r.master.Requests() {
				if q.Header.Get("Range") != "" {
					t.Errorf("the master was asked for %s", q.Header.Get("Range"))
				}
			}
		})
	}
	t.Run("stored", func(t *testing.T) {
		t.Parallel()
		r := newRegistry(t, "")
		r.check("")
		for _, set := range rangeSets {
			r.check(set)
		}
		if n := r.fetched(); n != 1 {
			t.Errorf("fetched %d times", n)
		}
	})
}

// A file that does not promise to end soon is released after two seconds, before it is verified.
func TestARangeIsAnsweredAsSoonAsItsBytesAreThere(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, "")
	gate := faults.NewGate()
	r.master.Break(faults.Suffix(".tgz"), faults.Drip(gate, 16<<10))
	released := make(chan struct{})
	go func() { // 160 KB a second, which is 13 s in all
		for pace := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-pace.C:
				gate.Step(1)
			case <-released:
				pace.Stop()
				return
			}
		}
	}()
	r.check("100-199") // the master has most of it still to send
	close(released)
	r.check("90000000-")
	for range 2 {
		edgetest.Receive(t, r.entered, "a request at the edge")
	}
	head, err := r.ask(http.MethodHead, "100-199")
	if err != nil || head.StatusCode != http.StatusOK || head.ContentLength != int64(len(r.tarball)) {
		t.Errorf("HEAD: %+v, %v", head, err)
	}
	edgetest.Receive(t, r.entered, "a request at the edge")
	var late sync.WaitGroup
	for _, set := range []string{"-100", "1000000-"} {
		late.Go(func() { r.check(set) })
	}
	for range 2 {
		edgetest.Receive(t, r.entered, "a request at the edge")
	}
	gate.Open()
	late.Wait()
	r.check("")
	if n := r.fetched(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestARangeOfATarballThatBreaksOffIsAnError(t *testing.T) {
	r := newRegistry(t, "")
	r.master.Break(faults.Suffix(".tgz"), faults.CutAfter(1<<20))
	if a, err := r.ask(http.MethodGet, "-100"); err == nil && a.StatusCode < 500 {
		t.Errorf("status %d, and %d bytes that end well", a.StatusCode, len(a.body))
	}
	r.master.Mend()
	r.check("-100")
}
