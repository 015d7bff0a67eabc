package origin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/npm"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

const (
	aPackument = "/edge-sample-words"
	aTarball   = "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
)

// A master in trouble of any sort costs a client nothing while another one is
// well: it is passed over before anything is released.
func TestFailsOverBeforeTheFirstByte(t *testing.T) {
	short := patient
	short.FirstByte, short.Idle = 100*time.Millisecond, 100*time.Millisecond
	for _, tt := range []struct {
		name     string
		faults   []faults.Fault
		waits    Timeouts
		metadata string // what is reported of the first master
		file     string
	}{
		{"no headers", []faults.Fault{faults.Hang()}, short, "timeout", "timeout"},
		{"half a header", []faults.Fault{faults.HangInHeaders()}, short, "timeout", "timeout"},
		{"headers and no body", []faults.Fault{faults.HangAfter(0)}, short, "stalled", "stalled"},
		{"a body that stalls", []faults.Fault{faults.HangAfter(100)}, short, "stalled", "stalled"},
		{"a body that drips too slowly", []faults.Fault{faults.Drip(faults.NewGate(), 10)}, short, "stalled", "stalled"},
		{"a dropped connection", []faults.Fault{faults.Drop()}, patient, "cut", "cut"},
		{"a cut body", []faults.Fault{faults.CutAfter(100)}, patient, "cut", "cut"},
		{"less than announced", []faults.Fault{faults.WrongLength(+5)}, patient, "cut", "cut"},
		{"less announced than sent", []faults.Fault{faults.WrongLength(-5)}, patient, "cut", "digest"},
		{"a short body that ends cleanly", []faults.Fault{faults.ShortBody(100)}, patient, "cut", "digest"},
		{"an empty body", []faults.Fault{faults.Empty()}, patient, "cut", "digest"},
		{"a flipped byte", []faults.Fault{faults.FlipByte(-1)}, patient, "gzip", "digest"},
		{"a flipped byte in the middle", []faults.Fault{faults.FlipByte(150)}, patient, "gzip", "digest"},
		{"500", []faults.Fault{faults.Status(500)}, patient, "500", "500"},
		{"502", []faults.Fault{faults.Status(502)}, patient, "502", "502"},
		{"503", []faults.Fault{faults.Status(503)}, patient, "503", "503"},
		{"504", []faults.Fault{faults.Status(504)}, patient, "504", "504"},
		{"408", []faults.Fault{faults.Status(408)}, patient, "408", "408"},
		{"429", []faults.Fault{faults.Status(429)}, patient, "429", "429"},
		{"503 whose body hangs", []faults.Fault{faults.Status(503), faults.HangAfter(1)}, patient, "503", "503"},
		{"204", []faults.Fault{faults.Status(204)}, patient, "204", "204"},
		{"202", []faults.Fault{faults.Status(202)}, patient, "202", "202"},
		{"a page served as 200", []faults.Fault{faults.HTML()}, patient, "metadata", "digest"},
		{"an empty packument", []faults.Fault{faults.Replace([]byte("{}"))}, patient, "metadata", "digest"},
		{"a packument of nothing", []faults.Fault{faults.Replace([]byte("null"))}, patient, "metadata", "digest"},
		{"a packument that cannot be parsed", []faults.Fault{faults.Replace([]byte(`{"name":"edge-sample-words","versions":}`))}, patient, "metadata", "digest"},
		{"not gzip", []faults.Fault{faults.BadGzip()}, patient, "gzip", "digest"},
		{"a gzip bomb", []faults.Fault{faults.GzipBomb(100)}, patient, "large", "digest"},
		{"a redirect to itself", []faults.Fault{faults.RedirectLoop()}, patient, "redirects", "redirects"},
		{"a redirect to a private address", []faults.Fault{faults.Redirect("http://10.0.0.1/x")}, patient, "private", "private"},
		{"a redirect to a metadata service", []faults.Fault{faults.Redirect("http://169.254.169.254/x")}, patient, "private", "private"},
		{"304 unasked", []faults.Fault{faults.NotModified()}, patient, "unasked", "unasked"},
		{"a huge header", []faults.Fault{faults.HugeHeader(100 << 10)}, patient, "fields", "fields"},
	} {
		for _, asked := range []struct{ what, path, report string }{
			{"metadata", aPackument, tt.metadata},
			{"file", aTarball, tt.file},
		} {
			t.Run(tt.name+"/"+asked.what, func(t *testing.T) {
				t.Parallel()
				w := newTwo(t)
				b := newBehind(t, w.bothURLs, waits(tt.waits))
				rule := w.a.Break(faults.Path(asked.path), tt.faults...)
				r, err := b.get(t, asked.path)
				if err != nil {
					t.Fatal(err)
				}
				if r.responds != 1 || r.status != http.StatusOK {
					t.Fatalf("%d responses, the last %d; want one 200", r.responds, r.status)
				}
				if asked.what == "file" {
					same(t, "tarball", r.body, download(t, w.bothURLs[1]+asked.path))
				} else {
					checkPackument(t, r, download(t, w.bothURLs[1]+asked.path))
				}
				b.pool.asking.Wait() // the one that was outrun may report last
				if !slices.Contains(b.reported(), "A "+asked.report) {
					t.Errorf("reports %q; want A %s", b.reported(), asked.report)
				}
				if rule.Hits() == 0 {
					t.Error("the first master was not asked")
				}
			})
		}
	}
}

// What only a listener of its own can do.
func TestFailsOverFromWhatNoServerDoes(t *testing.T) {
	short := patient
	short.Idle = 200 * time.Millisecond
	for name, tt := range map[string]struct {
		serve  func(w http.ResponseWriter, r *http.Request)
		waits  Timeouts
		report string
	}{
		"a header of gigabytes": {func(w http.ResponseWriter, _ *http.Request) {
			conn, out, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(out, "HTTP/1.1 200 OK\r\n")
			for range 2 << 10 { // as long as anybody reads
				if _, err := io.WriteString(out, "X-Huge: "+strings.Repeat("h", 1<<20)+"\r\n"); err != nil {
					return
				}
			}
			t.Error("two gigabytes of header were read")
		}, patient, "A fields"},
		"a body that drips": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, "x")
				http.NewResponseController(w).Flush()
				<-time.After(10 * time.Millisecond)
			}
		}, short, "A drip"},
	} {
		for _, path := range []string{aPackument, aTarball} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				w := newTwo(t)
				inner := listedBy(func(bool) ([]byte, error) { return nil, errors.New("no list") })
				b := newBehind(t, []string{serveFunc(t, tt.serve), w.bothURLs[1]}, waits(tt.waits), inner)
				r, err := b.get(t, path)
				if err != nil || r.status != http.StatusOK {
					t.Fatalf("%d %v", r.status, err)
				}
				if !slices.Contains(b.reported(), tt.report) {
					t.Errorf("reports %q; want %s", b.reported(), tt.report)
				}
			})
		}
	}
}

func TestFailsOverWhenConnectionsAreRefused(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	w.aS.Refuse()
	for range 2 {
		if r, err := b.get(t, aPackument); err != nil || r.status != http.StatusOK {
			t.Fatalf("%d, %v", r.status, err)
		}
	}
	// The second time the one in trouble is asked last.
	equal(t, "reports", b.reported(), []string{"A refused", "B 200", "B 200"})
}

func TestPrimaryIsAskedFirstWhereNothingElseDecides(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	if _, err := b.get(t, aPackument); err != nil {
		t.Fatal(err)
	}
	equal(t, "reports", b.reported(), []string{"A 200"})

	// Also where the configuration names it last.
	var masters []Upstream
	for i, s := range []string{"https://b.example", "https://c.example", "https://a.example"} {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		masters = append(masters, Upstream{URL: u, Primary: i == 2})
	}
	p := newPool(Config{}, poolOfAll, masters, 0)
	if p.primary().name != "https://a.example" {
		t.Errorf("the primary is %s", p.primary().name)
	}
}

// It says nothing about a master that we did not wait for it.
func TestAbandonedFetchIsNoTrouble(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	w.a.Break(faults.Any, faults.Hang())
	gone := errors.New("every client left")
	ctx, cancel := context.WithCancelCause(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- b.Fetch(ctx, Ask{Route: b.route(aPackument)}, &recorder{}) }()
	<-w.a.Arrived(faults.Any)
	cancel(gone)
	if err := <-failed; !errors.Is(err, gone) {
		t.Errorf("err = %v; want %v", err, gone)
	}
	if got := b.Status()[0].Masters[0].State; got != "healthy" {
		t.Errorf("the master is %s", got)
	}
	equal(t, "reports", b.reported(), []string{"A abandoned"})
}

// One lagging replica must not make something look gone.
func TestAbsenceNeedsThePrimaryOrTwo(t *testing.T) {
	const down, has, no = "down", "has it", "says no"
	for _, tt := range []struct {
		name    string
		masters []string // the primary first
		shun    bool     // the primary is asked last
		want    int      // 0 is unavailable
		reports []string
	}{
		{"the primary says so", []string{no, has}, false, 404, []string{"A 404"}},
		{"one replica, primary down", []string{down, no}, false, 0, []string{"A refused", "B 404"}},
		{"two replicas, primary down", []string{down, no, no}, false, 404, []string{"A refused", "B 404", "C 404"}},
		{"two replicas disagree, primary down", []string{down, no, has}, false, 200, []string{"A refused", "B 404", "C 200"}},
		{"a replica, but the primary has it", []string{has, no}, true, 200, []string{"B 404", "A 200"}},
		{"a replica, and then the primary", []string{no, no}, true, 404, []string{"B 404", "A 404"}},
	} {
		for _, status := range []int{404, 410, 401, 403} {
			t.Run(tt.name+"/"+http.StatusText(status), func(t *testing.T) {
				store, err := sample.Samples()
				if err != nil {
					t.Fatal(err)
				}
				var urls []string
				for _, state := range tt.masters {
					m, s := startMaster(t, store)
					switch state {
					case down:
						s.Refuse()
					case no:
						m.Break(faults.Any, faults.Status(status))
					}
					urls = append(urls, s.URL())
				}
				b := newBehind(t, urls)
				if tt.shun {
					b.pool.failed(b.pool.primary(), fault{"not answered", true})
				}
				r, err := b.get(t, aPackument)
				want := tt.want
				if want == 404 {
					want = status
				}
				if want == 0 {
					isUnavailable(t, err)
				} else if err != nil || r.status != want {
					t.Errorf("%d, %v; want %d", r.status, err, want)
				}
				reports := slices.Clone(tt.reports)
				for i, s := range reports {
					reports[i] = strings.Replace(s, "404", strconv.Itoa(status), 1)
				}
				equal(t, "reports", b.reported(), reports)
			})
		}
	}
}

func TestUnavailableTellsWhy(t *testing.T) {
	t.Run("what a master asked for", func(t *testing.T) {
		w := newTwo(t)
		b := newBehind(t, w.bothURLs)
		w.a.Break(faults.Any, faults.Status(429), faults.Set("Retry-After", "7"))
		w.b.Break(faults.Any, faults.Status(503), faults.Set("Retry-After", "3"))
		r, err := b.get(t, aPackument)
		u := isUnavailable(t, err)
		if u.Timeout || u.RetryAfter != 7*time.Second || len(u.Tried) != 2 || r.responds != 0 {
			t.Errorf("%+v, %d responses", u, r.responds)
		}
		for _, word := range []string{"cannot fetch packument", w.bothURLs[0] + ": answered 429", w.bothURLs[1] + ": answered 503"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("err = %v; want %q in it", err, word)
			}
		}
	})
	t.Run("waited in vain", func(t *testing.T) {
		w := newTwo(t)
		short := patient
		short.FirstByte = 50 * time.Millisecond
		b := newBehind(t, w.bothURLs, waits(short))
		w.aS.Refuse()
		w.b.Break(faults.Any, faults.Hang())
		_, err := b.get(t, aPackument)
		if u := isUnavailable(t, err); !u.Timeout {
			t.Errorf("%+v; want a timeout", u)
		}
	})
	t.Run("refused after a wait", func(t *testing.T) {
		w := newTwo(t)
		short := patient
		short.FirstByte = 50 * time.Millisecond
		b := newBehind(t, w.bothURLs, waits(short))
		b.pool.hedges.saved = 0 // so that the wait comes first
		w.a.Break(faults.Any, faults.Hang())
		w.bS.Refuse()
		_, err := b.get(t, aPackument)
		if u := isUnavailable(t, err); u.Timeout {
			t.Errorf("%+v; want no timeout", u)
		}
	})
}

func TestMasterUnderABasePath(t *testing.T) {
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	m, s := startMaster(t, store, faults.Under("/company/registry"))
	for _, base := range []string{s.URL(), s.URL() + "/"} {
		m.Forget()
		b := newBehind(t, []string{base})
		for _, path := range []string{"/@edge-sample%2fcolour", aTarball} {
			r, err := b.get(t, path)
			if err != nil || r.status != http.StatusOK {
				t.Fatalf("%s below %s: %d, %v", path, base, r.status, err)
			}
		}
		if m.Count(func(r faults.Record) bool { return r.Raw == "/company/registry/@edge-sample%2fcolour" }) != 1 {
			t.Errorf("below %s the path was not sent as it is escaped: %v", base, m.Requests()[0].Raw)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	u := &url.URL{Scheme: "https", Host: "a.example"}
	for name, cfg := range map[string]Config{
		"no master":       {Kind: npm.Descriptor()},
		"no such kind":    {Kind: kind.Descriptor{Name: "cargo"}, Masters: []Upstream{{URL: u, Primary: true}}},
		"no kind at all":  {Masters: []Upstream{{URL: u, Primary: true}}},
		"neither of both": {},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The files kind hands on what the origin says, its errors included.
func TestPlainHandsOn(t *testing.T) {
	w := newTwo(t)
	for path, body := range map[string]string{"/tree/a.bin": "bytes", "/tree/empty": ""} {
		if err := w.store.AddFile(path, []byte(body), nil); err != nil {
			t.Fatal(err)
		}
	}
	b := newBehind(t, w.bothURLs, ofKind("files"))
	for _, tt := range []struct {
		name   string
		path   string
		a, b   []faults.Fault
		status int
		body   string // of a 200
	}{
		{"a file", "/tree/a.bin", nil, nil, 200, "bytes"},
		{"an empty file", "/tree/empty", nil, nil, 200, ""},
		{"a page", "/tree/a.bin", []faults.Fault{faults.HTML()}, nil, 200, "<!doctype html><title>We will be back soon</title><h1>We will be back soon</h1>\n"},
		{"503 of the first", "/tree/a.bin", []faults.Fault{faults.Status(503)}, nil, 200, "bytes"},
		{"503 of all", "/tree/a.bin", []faults.Fault{faults.Status(503)}, []faults.Fault{faults.Status(500)}, 500, ""},
		{"404 of the primary", "/tree/none", nil, nil, 404, ""},
		{"a redirect", "/tree/a.bin", []faults.Fault{faults.Redirect("/tree/b.bin")}, nil, 302, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer w.a.Mend()
			defer w.b.Mend()
			if tt.a != nil {
				w.a.Break(faults.Any, tt.a...)
			}
			if tt.b != nil {
				w.b.Break(faults.Any, tt.b...)
			}
			r, err := b.get(t, tt.path)
			if err != nil || r.status != tt.status {
				t.Fatalf("%d, %v; want %d", r.status, err, tt.status)
			}
			if tt.status == http.StatusOK {
				same(t, "body", r.body, []byte(tt.body))
			}
			if tt.status == http.StatusFound && r.header.Get("Location") != "/npm/tree/b.bin" {
				t.Errorf("Location %q leads past the edge", r.header.Get("Location"))
			}
		})
	}
}

var _ Sink = (*recorder)(nil)

var _ kind.Kind = (*Site)(nil)
