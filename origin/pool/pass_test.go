package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/origintest"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/transport"
)

// open passes a request on, and returns the response as it comes.
func (b *behind) open(t *testing.T, method, path string, body io.Reader, contexts ...context.Context) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(append(contexts, t.Context())[0], method, "http://edge.example"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(path, "?")
	return b.Pass(b.kind.Route(kind.Request{Method: method, Path: path, Query: query, Header: req.Header}), netip.Addr{}).RoundTrip(req)
}

// send passes a request on, and returns the response with its body read.
func (b *behind) send(t *testing.T, method, path, body string, fields ...string) (*http.Response, string, error) {
	t.Helper()
	var from io.Reader
	if body != "" {
		from = io.MultiReader(strings.NewReader(body)) // of a length and a type that net/http does not know
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://edge.example"+path, from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Set(name, value)
	}
	path, query, _ := strings.Cut(path, "?")
	route := b.kind.Route(kind.Request{Method: method, Path: path, Query: query, Header: req.Header})
	if route.Class != kind.PassPrimary && route.Class != kind.PassAny {
		t.Fatalf("does not pass: %+v", route)
	}
	resp, err := b.Pass(route, netip.Addr{}).RoundTrip(req)
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

const (
	aLogin = `{"name":"me","password":"secret"}`
	login  = "/-/user/org.couchdb.user:me"
	search = "/-/v1/search?text=edge-sample"
)

func TestWriteGoesToThePrimary(t *testing.T) {
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	a, aS := origintest.StartMaster(t, store, faults.Under("/registry"))
	replica, rS := origintest.StartMaster(t, store)
	b := newBehind(t, []string{aS.URL(), rS.URL()})
	for range inARow { // never a reason to write elsewhere
		b.Failed(b.Primary(), unanswered)
	}
	resp, body, err := b.send(t, "PUT", login, aLogin, "Content-Type: application/json", "Authorization: Bearer x", "Via: 1.1 proxy", "Npm-Otp: 1")
	if err != nil || resp.StatusCode != http.StatusCreated || !strings.Contains(body, "token") {
		t.Fatalf("%+v, %q, %v", resp, body, err)
	}
	got := origintest.Last(t, a)
	if string(got.Body) != aLogin || got.Raw != "/registry"+login || got.Host != strings.TrimPrefix(strings.TrimSuffix(aS.URL(), "/registry"), "http://") {
		t.Errorf("%s at %s: %q", got.Raw, got.Host, got.Body)
	}
	for name, want := range map[string]string{"Authorization": "Bearer x", "Npm-Otp": "1", "Cdn-Loop": "edge-test"} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q; want %q", name, got.Header.Get(name), want)
		}
	}
	origintest.Equal(t, "Via", got.Header["Via"], []string{"1.1 proxy", "1.1 edge-test"})
	if replica.Count(faults.Any) != 0 {
		t.Error("a replica got it")
	}
	origintest.Equal(t, "reports", b.reported(), []string{"A pass"})
}

// Only the client knows whether its write may be repeated.
func TestWriteIsNeverSentTwice(t *testing.T) {
	short := origintest.Patient()
	short.Write = 50 * time.Millisecond
	for _, tt := range []struct {
		name   string
		method string
		path   string
		body   string
		fault  faults.Fault
		waits  transport.Timeouts
		report string
	}{
		{"dropped", "PUT", login, aLogin, faults.Drop(), origintest.Patient(), "A cut"},
		{"dropped without a body", "DELETE", "/-/user/token/abc", "", faults.Drop(), origintest.Patient(), "A cut"},
		{"hanging", "PUT", login, aLogin, faults.Hang(), short, "A timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := origintest.NewTwo(t)
			b := newBehind(t, w.URLs, tt.waits)
			// A connection that was used before is the case in which net/http
			// may repeat the request.
			if _, _, err := b.send(t, "GET", "/-/whoami", ""); err != nil {
				t.Fatal(err)
			}
			w.A.Break(faults.Method(tt.method), tt.fault)
			_, _, err := b.send(t, tt.method, tt.path, tt.body)
			u := isUnavailable(t, err)
			if u.Timeout != (tt.waits == short) || len(u.Tried) != 1 {
				t.Errorf("%+v", u)
			}
			if n := w.A.Count(faults.Method(tt.method)); n != 1 {
				t.Errorf("the primary got it %d times", n)
			}
			if n := w.B.Count(faults.Any); n != 0 {
				t.Errorf("the replica got %d requests", n)
			}
			origintest.Equal(t, "reports", b.reported(), []string{"A pass", tt.report})
		})
	}
}

func TestWriteWithoutAPrimaryFails(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	w.AServer.Refuse()
	_, _, err := b.send(t, "PUT", login, aLogin)
	isUnavailable(t, err)
	// A read that goes to the primary does not go elsewhere either.
	_, _, err = b.send(t, "GET", "/-/whoami", "")
	isUnavailable(t, err)
	origintest.Equal(t, "reports", b.reported(), []string{"A refused", "A refused"})
}

func TestPassAnyMovesOn(t *testing.T) {
	t.Run("when a master does not answer", func(t *testing.T) {
		w := origintest.NewTwo(t)
		b := newBehind(t, w.URLs)
		w.AServer.Refuse()
		resp, body, err := b.send(t, "GET", search, "")
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(body, "edge-sample-words") {
			t.Errorf("%+v, %.80q, %v", resp, body, err)
		}
		origintest.Equal(t, "Via", origintest.Last(t, w.B).Header["Via"], []string{"1.1 edge-test"})
		origintest.Equal(t, "reports", b.reported(), []string{"A refused", "B pass"})
	})
	for _, status := range []int{429, 500, 502, 503, 504} {
		t.Run(fmt.Sprint("when it answers ", status), func(t *testing.T) {
			w := origintest.NewTwo(t)
			b := newBehind(t, w.URLs)
			w.A.Break(faults.Any, faults.Status(status))
			resp, body, err := b.send(t, "GET", search, "")
			if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(body, "edge-sample-words") {
				t.Errorf("%+v, %.80q, %v", resp, body, err)
			}
			w.B.Break(faults.Any, faults.Status(status))
			if resp, _, err := b.send(t, "GET", search, ""); err != nil || resp.StatusCode != status {
				t.Errorf("both: %+v, %v", resp, err)
			}
		})
	}
	t.Run("not when it answers that the request is wrong", func(t *testing.T) {
		w := origintest.NewTwo(t)
		b := newBehind(t, w.URLs)
		w.A.Break(faults.Any, faults.Status(400))
		if resp, _, err := b.send(t, "GET", search, ""); err != nil || resp.StatusCode != http.StatusBadRequest || w.B.Count(faults.Any) != 0 {
			t.Errorf("%+v, %v", resp, err)
		}
	})
	t.Run("not with a body, which is spent", func(t *testing.T) {
		w := origintest.NewTwo(t)
		b := newBehind(t, w.URLs)
		w.A.Break(faults.Any, faults.Drop())
		_, _, err := b.send(t, "POST", "/-/npm/v1/security/advisories/bulk", `{"edge-sample-words":["1.0.0"]}`)
		isUnavailable(t, err)
		if w.A.Count(faults.Any) != 1 || w.B.Count(faults.Any) != 0 {
			t.Error("a spent body was sent again")
		}
	})
	t.Run("until none is left", func(t *testing.T) {
		w := origintest.NewTwo(t)
		b := newBehind(t, w.URLs)
		w.AServer.Refuse()
		w.BServer.Refuse()
		_, _, err := b.send(t, "GET", search, "")
		if u := isUnavailable(t, err); len(u.Tried) != 2 {
			t.Errorf("%+v", u)
		}
	})
}

func TestPassedRedirectIsNotFollowed(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	for location, want := range map[string]string{
		w.AURL + "/-/elsewhere": origintest.PublicBase + "/-/elsewhere",
		"/-/elsewhere":          "/npm/-/elsewhere",
		w.URLs[1] + "/-/x":      w.URLs[1] + "/-/x",
	} {
		rule := w.A.Break(faults.Any, faults.Redirect(location))
		resp, _, err := b.send(t, "PUT", login, aLogin, "Authorization: Bearer secret")
		if err != nil || resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != want {
			t.Errorf("%s became %+v, %v; want %s", location, resp, err, want)
		}
		rule.Mend()
	}
	if w.B.Count(faults.Any) != 0 {
		t.Error("the redirect was followed")
	}
}

func TestPassEndsWithItsClient(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	w.A.Break(faults.Any, faults.Hang())
	route := b.kind.Route(kind.Request{Method: "GET", Path: "/-/v1/search", Query: "text=x", Header: http.Header{}})
	req, err := http.NewRequest("GET", "http://edge.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := b.Pass(route, netip.Addr{}).RoundTrip(req.WithContext(ctx))
		done <- err
	}()
	<-w.A.Arrived(faults.Any)
	cancel()
	err = <-done
	if u := isUnavailable(t, err); len(u.Tried) != 1 || w.B.Count(faults.Any) != 0 {
		t.Errorf("%+v; another master was asked for nobody", u)
	}
}

// A body that stalls on its way does not hold its client for ever, and does not
// end as if it were whole.
func TestPassGivesUpWhatStalls(t *testing.T) {
	short := origintest.Patient()
	short.Idle, short.Write = 100*time.Millisecond, 100*time.Millisecond
	for name, tt := range map[string]struct {
		fault  faults.Fault
		report string
	}{
		"stalls": {faults.HangAfter(10), "A stalled"},
		"cut":    {faults.CutAfter(10), "A cut"},
	} {
		t.Run(name, func(t *testing.T) {
			w := origintest.NewTwo(t)
			b := newBehind(t, w.URLs, short)
			w.A.Break(faults.Any, tt.fault)
			resp, err := b.open(t, "GET", search, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil || len(body) != 10 {
				t.Errorf("%d bytes, %v", len(body), err)
			}
			origintest.Equal(t, "reports", b.reported(), []string{"A pass", tt.report})
			if st := b.Status().Masters[0]; st.InFlight != 0 {
				t.Errorf("%d in flight", st.InFlight)
			}
		})
	}
	t.Run("a client that leaves is no fault", func(t *testing.T) {
		w := origintest.NewTwo(t)
		b := newBehind(t, w.URLs)
		w.A.Break(faults.Any, faults.HangAfter(10))
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := b.open(t, "GET", search, nil, ctx)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("it ended well")
		}
		resp.Body.Close()
		origintest.Equal(t, "reports", b.reported(), []string{"A pass"})
	})
	t.Run("a master that takes nothing", func(t *testing.T) {
		gate := make(chan struct{})
		url := origintest.Serve(t, func(http.ResponseWriter, *http.Request) { <-gate })
		defer close(gate)
		b := newBehind(t, []string{url}, short)
		_, err := b.open(t, "PUT", login, io.LimitReader(zeros{}, 1<<30))
		if u := isUnavailable(t, err); !u.Timeout || !errors.Is(err, transport.ErrUntaken) {
			t.Errorf("%+v", u)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestPassGivesItsPlaceBack(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	w.B.Break(faults.Any, faults.Drop())
	for range 3 {
		if _, _, err := b.send(t, "GET", "/-/whoami", ""); err != nil {
			t.Fatal(err)
		}
	}
	w.A.Break(faults.Any, faults.Drop())
	for range 3 {
		if _, _, err := b.send(t, "GET", "/-/v1/search?text=x", ""); err == nil {
			t.Fatal("an answer came")
		}
	}
	for _, m := range b.Status().Masters {
		if m.InFlight != 0 || m.Waiting != 0 {
			t.Errorf("%d places are taken at %s", m.InFlight, m.URL)
		}
	}
}

// Nothing else can answer a write, a login or an audit: it is waited for beyond the
// time after which another master would be asked.
func TestAWriteIsWaitedFor(t *testing.T) {
	short := origintest.Patient()
	short.FirstByte = 20 * time.Millisecond
	for _, tt := range []struct{ name, method, path, body string }{
		{"a publish", "PUT", "/edge-mine", `{"name":"edge-mine"}`},
		{"a login", "PUT", login, aLogin},
		{"an audit", "POST", "/-/npm/v1/security/advisories/bulk", `{"edge-sample-words":["1.0.0"]}`},
		{"a read that the primary alone can answer", "GET", "/edge-sample-words?write=true", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := origintest.NewTwo(t)
			b := newBehind(t, w.URLs, short)
			gate := faults.NewGate()
			w.A.Break(faults.Any, faults.Hold(gate))
			time.AfterFunc(5*short.FirstByte, gate.Open)
			resp, _, err := b.send(t, tt.method, tt.path, tt.body)
			if err != nil || resp.StatusCode >= 500 || w.A.Count(faults.Any) != 1 || w.B.Count(faults.Any) != 0 {
				t.Errorf("%+v, %v", resp, err)
			}
		})
	}
}

// broken is the body of a client that breaks off.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// The request of a client counts against no master, however the master takes it. Only
// where there was no connection at all is the fault the master's alone.
func TestAClientCannotPutAMasterOut(t *testing.T) {
	malformed := errors.New("invalid byte in chunk length")
	for _, tt := range []struct {
		name    string
		body    io.Reader
		field   string
		fault   []faults.Fault
		report  string
		client  bool // it is the request that is at fault
		sent    bool
		refuses bool
	}{
		{name: "a malformed chunk", body: broken{malformed}, report: "A client", client: true, sent: true},
		{name: "a body that is cut", body: io.MultiReader(strings.NewReader("{"), broken{io.ErrUnexpectedEOF}), report: "A client", client: true, sent: true},
		{name: "a field that cannot be sent", field: "a\x00b", report: "A client", client: true},
		{name: "a request that the master breaks off", body: strings.NewReader("{}"), fault: []faults.Fault{faults.Drop()}, report: "A cut", sent: true},
		{name: "a request that the master hangs at", body: strings.NewReader("{}"), fault: []faults.Fault{faults.Hang()}, report: "A timeout", sent: true},
		{name: "no connection", refuses: true, report: "A refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := origintest.NewTwo(t)
			waits := origintest.Patient()
			if tt.report == "A timeout" {
				waits.Write = 200 * time.Millisecond
			}
			b := newBehind(t, w.URLs, waits)
			if tt.fault != nil {
				w.A.Break(faults.Any, tt.fault...)
			}
			if tt.refuses {
				w.AServer.Refuse()
			}
			for range inARow + 1 {
				req, err := http.NewRequestWithContext(t.Context(), "PUT", "http://edge.example/n", tt.body)
				if err != nil {
					t.Fatal(err)
				}
				if tt.field != "" {
					req.Header["X"] = []string{tt.field}
				}
				_, err = b.Pass(b.kind.Route(kind.Request{Method: "PUT", Path: "/n", Header: req.Header}), netip.Addr{}).RoundTrip(req)
				if u := isUnavailable(t, err); errors.Is(err, ErrRequest) != tt.client || u.Sent != tt.sent {
					t.Fatalf("%v, sent: %t", err, u.Sent)
				}
			}
			if got := b.reported()[0]; got != tt.report {
				t.Errorf("reports %s; want %s", got, tt.report)
			}
			want := "healthy"
			if tt.refuses {
				want = "out"
			}
			if got := b.Status().Masters[0].State; got != want {
				t.Errorf("the master is %s", got)
			}
		})
	}
}
