package origintest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
	"pkgedge/origin/transport"
)

// PublicBase is the URL of a site under test.
const PublicBase = "https://edge.example/npm"

// Patient waits far longer than any test: where a time limit is the subject, the
// test sets it.
func Patient() transport.Timeouts {
	return transport.Timeouts{Connect: time.Minute, FirstByte: time.Minute, Idle: time.Minute, Write: time.Minute}
}

// Until waits for a minute until done reports true, and then fails the test and prints
// state. It leaves the processor to the goroutines that it waits for.
func Until(t testing.TB, done func() bool, state func() any) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for asked := 0; !done(); asked++ {
		if asked < 20 {
			runtime.Gosched()
			continue
		}
		if time.Now().After(end) {
			t.Fatalf("has not happened within a minute: %+v", state())
		}
		time.Sleep(time.Millisecond)
	}
}

// Two are two sample masters that share a store.
type Two struct {
	Store            *sample.Store
	A, B             *faults.Master
	AServer, BServer *sample.Server
	AURL             string
	URLs             []string
}

// NewTwo starts two masters.
func NewTwo(t *testing.T) *Two {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	w := &Two{Store: store}
	w.A, w.AServer = StartMaster(t, store)
	w.B, w.BServer = StartMaster(t, store)
	w.AURL = w.AServer.URL()
	w.URLs = []string{w.AServer.URL(), w.BServer.URL()}
	return w
}

// StartMaster starts one master.
func StartMaster(t *testing.T, store *sample.Store, options ...faults.Option) (*faults.Master, *sample.Server) {
	t.Helper()
	m := faults.NewMaster(store, options...)
	s, err := m.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return m, s
}

// Serve starts a master that is a function.
func Serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// Download gets a URL past the edge, as it is.
func Download(t *testing.T, url string) []byte {
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
	body := make([]byte, max(resp.ContentLength, 0))
	_, err = io.ReadFull(resp.Body, body)
	if resp.ContentLength < 0 {
		body, err = io.ReadAll(resp.Body)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d, %v", url, resp.StatusCode, err)
	}
	return body
}

// Last is the newest request that a master got.
func Last(t *testing.T, m *faults.Master) faults.Record {
	t.Helper()
	all := m.Requests()
	if len(all) == 0 {
		t.Fatal("no request arrived")
	}
	return all[len(all)-1]
}

// Recorder is a fetch.Sink that keeps a response.
type Recorder struct {
	Responds int // responses that readers have seen
	Spools   int // calls of Spool
	Status   int
	Header   http.Header
	Size     int64
	ETag     string // as Tag gave it
	Held     bool
	Parts    []*Part
	Refuse   error  // the answer to Respond and RespondWhole
	OnWhole  func() // called by RespondWhole
	Full     bool   // it has no place to spool a file

	mu      sync.Mutex
	Body    []byte // of a streamed response
	grown   chan struct{}
	spooled bool
}

// Part is one part of a held response.
type Part struct {
	Variant, ContentType, Encoding string
	Body                           []byte
}

func (r *Recorder) Respond(status int, h http.Header, size int64) error {
	r.Responds++
	r.begin(status, h, size, false)
	return r.Refuse
}

func (r *Recorder) begin(status int, h http.Header, size int64, spooled bool) {
	r.Status, r.Header, r.Size = status, h, size
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spooled = spooled
	r.Body = make([]byte, 0, min(max(size, 0), 8<<20))
}

// Spool keeps a response back until Release, or End without an error.
func (r *Recorder) Spool(status int, h http.Header, size int64) bool {
	if r.Full || r.Refuse != nil {
		return false
	}
	r.Spools++
	r.begin(status, h, size, true)
	return true
}

// Release shows the spooled response.
func (r *Recorder) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spooled {
		r.Responds++
		r.spooled = false
		r.notify()
	}
}

func (r *Recorder) Spooled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spooled
}

// End is called with the result of the fetch: it decides about a response that is still
// spooled.
func (r *Recorder) End(err error) {
	if err == nil {
		r.Release()
		return
	}
	if r.Spooled() {
		r.Body = nil // readers have seen none of it
	}
}

func (r *Recorder) Tag(etag string) { r.ETag = etag }

func (r *Recorder) RespondWhole(status int, h http.Header, _ int) error {
	r.Responds++
	r.Status, r.Header, r.Held = status, h, true
	if r.OnWhole != nil {
		r.OnWhole()
	}
	return r.Refuse
}

func (r *Recorder) Part(variant, contentType, encoding string) error {
	r.Parts = append(r.Parts, &Part{Variant: variant, ContentType: contentType, Encoding: encoding})
	return nil
}

func (r *Recorder) Write(p []byte) (int, error) {
	if r.Held {
		last := r.Parts[len(r.Parts)-1]
		last.Body = append(last.Body, p...)
		return len(p), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Body = append(r.Body, p...)
	r.notify()
	return len(p), nil
}

// notify wakes Await. r.mu is held.
func (r *Recorder) notify() {
	if r.grown != nil && !r.spooled {
		close(r.grown)
		r.grown = nil
	}
}

// Await waits until readers have n bytes of the body.
func (r *Recorder) Await(t *testing.T, n int) {
	t.Helper()
	for {
		r.mu.Lock()
		have := len(r.Body)
		if have >= n && !r.spooled {
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

// Find returns the part of a variant in a coding.
func (r *Recorder) Find(t *testing.T, variant, encoding string) []byte {
	t.Helper()
	for _, p := range r.Parts {
		if p.Variant == variant && p.Encoding == encoding {
			return p.Body
		}
	}
	t.Fatalf("no part %q in coding %q", variant, encoding)
	return nil
}

// Same compares two bodies.
func Same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, want %d with other content (%.60q, want %.60q)", what, len(got), len(want), got, want)
	}
}

// Equal compares two lists.
func Equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %s; want %s", what, strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

// URLs parses the base URLs of masters.
func URLs(t *testing.T, texts []string) (all []*url.URL) {
	t.Helper()
	for _, s := range texts {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	return all
}

// LargeTarball is the path of the tarball that AddLarge adds.
const LargeTarball = "/large/-/large-1.0.0.tgz"

// AddLarge adds a package whose tarball is too large to be verified before its
// first byte goes out, and returns the tarball.
func (w *Two) AddLarge(t *testing.T) []byte {
	t.Helper()
	file, err := large()
	if err != nil {
		t.Fatal(err)
	}
	doc := fmt.Appendf(nil, `{"name":"large","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"large","version":"1.0.0",`+
		`"dist":{"integrity":%q,"shasum":%q,"tarball":"https://registry.example%s"}}}}`,
		tarball.Integrity(file), tarball.Shasum(file), LargeTarball)
	if err := errors.Join(w.Store.AddPackument(doc), w.Store.AddFile(LargeTarball, file, nil)); err != nil {
		t.Fatal(err)
	}
	return file
}

// large is the tarball that AddLarge adds. It is packed once: under the race detector that
// takes longer than most tests that need it.
var large = sync.OnceValues(func() ([]byte, error) {
	return tarball.Pack(map[string][]byte{
		"package.json": []byte(`{"name":"large","version":"1.0.0"}`),
		"data.bin":     tarball.Noise("large", 3<<20),
	})
})
