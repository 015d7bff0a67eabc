package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
	"pkgedge/origin/sample"
)

// oddWriter is an edge in front of one master that carries writes out, and then does
// something else than tell. Its reads are well.
type oddWriter struct {
	*testEdge
	url   string
	store *sample.Store
	after func(w http.ResponseWriter, answer *httptest.ResponseRecorder) // a write
	wrote chan struct{}                                                  // one for each write that was carried out
}

func newOddWriter(t *testing.T, keys string) *oddWriter {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	o := &oddWriter{store: store, wrote: make(chan struct{}, 100)}
	m := sample.NewMaster(store, sample.Options{})
	url := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || o.after == nil {
			m.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		m.ServeHTTP(rec, r)
		o.wrote <- struct{}{}
		o.after(w, rec)
	}))
	o.testEdge = newTestEdge(t, fmt.Sprintf(`sites: [{ name: npm, probe: { every: 1h }, masters: [{ url: %q, role: primary }], %s }]`, url, keys), false)
	o.url = o.cfg.PublicURL.String()
	serveEdge(t, o.testEdge)
	return o
}

// tag is a write that sets a tag, in the form in which a client sends it.
func (o *oddWriter) tag(ctx context.Context, t *testing.T, version string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, o.url+"/-/package/edge-sample-words/dist-tags/mine", strings.NewReader(`"`+version+`"`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+o.store.Grant("alice"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp, string(body), nil
}

func (o *oddWriter) tags(t *testing.T) map[string]string {
	t.Helper()
	_, body, err := edgetest.GetText(t, http.DefaultClient, o.url+"/edge-sample-words")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Tags map[string]string `json:"dist-tags"`
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatalf("%v in %.200q", err, body)
	}
	return doc.Tags
}

// A write that was sent may have taken effect, however it ended: the next read has it.
func TestAWriteThatWasSentIsSeen(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		after  func(http.ResponseWriter, *httptest.ResponseRecorder)
		status int
		told   string
	}{
		"the connection breaks": {
			func(http.ResponseWriter, *httptest.ResponseRecorder) { panic(http.ErrAbortHandler) },
			503, "may have taken effect",
		},
		"no answer in time": {
			func(w http.ResponseWriter, _ *httptest.ResponseRecorder) { time.Sleep(time.Second) }, // longer than timeouts.write
			504, "may have taken effect",
		},
		"500":                      {func(w http.ResponseWriter, _ *httptest.ResponseRecorder) { w.WriteHeader(500) }, 500, ""},
		"502 by a server in front": {func(w http.ResponseWriter, _ *httptest.ResponseRecorder) { w.WriteHeader(502) }, 502, ""},
		"409":                      {func(w http.ResponseWriter, _ *httptest.ResponseRecorder) { w.WriteHeader(409) }, 409, ""},
		"the answer breaks off": {
			func(w http.ResponseWriter, _ *httptest.ResponseRecorder) {
				w.Header().Set("Content-Length", "10")
				w.WriteHeader(201)
				http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}, 0, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOddWriter(t, "timeouts: { write: 300ms }")
			if o.tags(t)["mine"] != "" {
				t.Fatal("there is a tag")
			}
			o.after = tt.after
			resp, body, err := o.tag(t.Context(), t, "1.0.0")
			if tt.status != 0 && (err != nil || resp.StatusCode != tt.status || !strings.Contains(body, tt.told)) {
				t.Errorf("%+v %q, %v", resp, body, err)
			}
			if got := o.tags(t)["mine"]; got != "1.0.0" {
				t.Errorf("a read has the tag %q", got)
			}
		})
	}
	t.Run("its client leaves", func(t *testing.T) {
		o := newOddWriter(t, "")
		o.tags(t)
		gone := make(chan struct{})
		defer close(gone)
		o.after = func(http.ResponseWriter, *httptest.ResponseRecorder) { <-gone }
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-o.wrote
			cancel()
		}()
		if _, _, err := o.tag(ctx, t, "1.0.0"); err == nil {
			t.Error("there is an answer")
		}
		edgetest.Until(t, "the tag in a read", func() bool { return o.tags(t)["mine"] == "1.0.0" })
	})
}

// Where no answer tells how a write ended, it may take effect later: for a while the
// primary's own word is kept for seconds.
func TestAWriteOfUnknownOutcomeIsLookedForAgain(t *testing.T) {
	o := newOddWriter(t, "")
	o.tags(t)
	o.after = func(http.ResponseWriter, *httptest.ResponseRecorder) { panic(http.ErrAbortHandler) }
	if _, _, err := o.tag(t.Context(), t, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	resp, _, err := edgetest.GetText(t, http.DefaultClient, o.url+"/edge-sample-words")
	if age := resp.Header.Get("Cache-Control"); err != nil || age != "public, max-age=10" && age != "public, max-age=9" {
		t.Errorf("%q, %v", age, err)
	}
}

// A write that is slow at its master is slow at the edge, and no more.
func TestASlowWriteIsWaitedFor(t *testing.T) {
	o := newOddWriter(t, "timeouts: { first_byte: 50ms }")
	o.after = func(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
		time.Sleep(250 * time.Millisecond) // five times the wait for a read
		w.WriteHeader(answer.Code)
		w.Write(answer.Body.Bytes())
	}
	if resp, body, err := o.tag(t.Context(), t, "1.0.0"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%+v %q, %v", resp, body, err)
	}
}

// raw sends bytes on a connection of their own, and returns the status of the answer:
// 0 for none. The client's side is closed behind them.
func (e *testEdge) raw(t testing.TB, request string) (status int, body string) {
	conn, err := net.Dial("tcp", e.cfg.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(conn, request)
	conn.(*net.TCPConn).CloseWrite()
	from := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(from, nil)
		switch {
		case err != nil:
			return 0, ""
		case resp.StatusCode != http.StatusContinue:
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(text)
		}
	}
}

// oddRequests are requests that are wrong, or wrongly sent, with the answers that a
// client may have: 0 is none.
var oddRequests = []struct {
	name, request string
	want          []int
}{
	{"a malformed chunk", "PUT /n HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", []int{400}},
	{"a chunk that is cut", "PUT /n HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", []int{400}},
	{"a chunk without its end", "PUT /n HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabXX", []int{400}},
	{"a chunk of half the world", "PUT /n HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", []int{400}},
	{"a body that is cut", "PUT /n HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{", []int{400}},
	{"no body at all", "PUT /n HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n", []int{400}},
	{"an audit that is cut", "POST /-/npm/v1/security/advisories/bulk HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{", []int{400}},
	{"an expectation that is not known", "PUT /n HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\nContent-Length: 2\r\n\r\n{}", []int{417}},
	{"an expectation, and no body", "PUT /n HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", []int{400}},
	{"an expectation of a read", "GET /-/whoami HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n", []int{200, 401}},
	{"an upgrade to nothing", "GET /-/whoami HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: \x80\r\n\r\n", []int{400}},
	{"an upgrade that the master does not know", "GET /-/whoami HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", []int{200, 401}},
	{"trailers", "PUT /n HTTP/1.1\r\nHost: h\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: \x01\r\n\r\n", []int{400, 401}},
	{"two lengths", "PUT /n HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", []int{400}},
	{"a length and chunks", "PUT /n HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", []int{400}},
	{"a method of one's own", "FROB /n HTTP/1.1\r\nHost: h\r\n\r\n", []int{405}},
	{"a query with odd bytes", "GET /-/v1/search?text=%zz&\xff HTTP/1.1\r\nHost: h\r\n\r\n", []int{200, 400}},
	{"a hang-up", "PUT /-/user/org.couchdb.user:me HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", []int{0, 400}},
}

// No master is at fault for the request of a client, and no client hears of a registry
// that is down.
func TestOddRequestsCostNoMasterAnything(t *testing.T) {
	s := newServed(t, "")
	for _, tt := range oddRequests {
		t.Run(tt.name, func(t *testing.T) {
			for range 6 { // more than put a master out
				status, body := s.edge.raw(t, tt.request)
				if !bytes.Contains(fmt.Append(nil, tt.want), fmt.Append(nil, status)) {
					t.Errorf("%d %q; want %v", status, body, tt.want)
				}
			}
			s.healthy(t)
		})
	}
}

// healthy: every master is.
func (s *served) healthy(t testing.TB) {
	for _, p := range s.edge.serving().Sites[0].Upstreams()[0].Status() {
		for _, m := range p.Masters {
			if m.State != "healthy" {
				t.Errorf("%s is %s: %s", m.URL, m.State, m.Why)
			}
		}
	}
}

// npm logs in by a browser through the edge: it asks the edge until the person is done.
func TestLoginByABrowserStaysAtTheEdge(t *testing.T) {
	var master string
	asked := make(chan string, 10)
	master = newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch asked <- r.URL.RequestURI(); r.URL.Path {
		case "/-/v1/login":
			fmt.Fprintf(w, `{"loginUrl":"%s/login/x","doneUrl":"%s/-/v1/done?authId=x"}`, master, master)
		case "/-/v1/done":
			io.WriteString(w, `{"token":"t0"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	e := newTestEdge(t, fmt.Sprintf(`sites: [{ name: npm, path: /npm, probe: { every: 1h }, masters: [{ url: %q, role: primary }] }]`, master), false)
	serveEdge(t, e)
	resp, err := http.Post(e.cfg.PublicURL.String()+"/npm/-/v1/login", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var told struct{ LoginURL, DoneURL string }
	if err := json.NewDecoder(resp.Body).Decode(&told); err != nil || told.LoginURL != master+"/login/x" || !strings.HasPrefix(told.DoneURL, e.cfg.PublicURL.String()+"/npm/-/") {
		t.Fatalf("%+v, %v", told, err)
	}
	if _, body, err := edgetest.GetText(t, http.DefaultClient, told.DoneURL); err != nil || body != `{"token":"t0"}` {
		t.Errorf("%q, %v", body, err)
	}
	if first, second := <-asked, <-asked; first != "/-/v1/login" || second != "/-/v1/done?authId=x" {
		t.Errorf("the master was asked %s, %s", first, second)
	}
}
