package fetch

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/transport"
)

const (
	aPackument = "/edge-sample-words"
	aTarball   = "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
)

// A master in trouble of any sort costs a client nothing while another one is
// well: it is passed over before anything is released.
func TestFailsOverBeforeTheFirstByte(t *testing.T) {
	short := origintest.Patient()
	// These are the waits for the other master too, on a busy machine. The first is below
	// the least wait before another master is asked for a file, so that a file times out;
	// the other master may answer for metadata before that.
	short.FirstByte, short.Idle = 900*time.Millisecond, time.Second
	for _, tt := range []struct {
		name     string
		faults   []faults.Fault
		waits    transport.Timeouts
		metadata string // the report of the first master
		file     string
	}{
		{"no headers", []faults.Fault{faults.Hang()}, short, "timeout or outrun", "timeout"},
		{"half a header", []faults.Fault{faults.HangInHeaders()}, short, "timeout or outrun", "timeout"},
		{"headers and no body", []faults.Fault{faults.HangAfter(0)}, short, "stalled", "stalled"},
		{"a body that stalls", []faults.Fault{faults.HangAfter(100)}, short, "stalled", "stalled"},
		{"a body that drips too slowly", []faults.Fault{faults.Drip(faults.NewGate(), 10)}, short, "stalled", "stalled"},
		{"a dropped connection", []faults.Fault{faults.Drop()}, origintest.Patient(), "cut", "cut"},
		{"a cut body", []faults.Fault{faults.CutAfter(100)}, origintest.Patient(), "cut", "cut"},
		{"less than announced", []faults.Fault{faults.WrongLength(+5)}, origintest.Patient(), "cut", "cut"},
		{"less announced than sent", []faults.Fault{faults.WrongLength(-5)}, origintest.Patient(), "cut", "digest"},
		{"a short body that ends cleanly", []faults.Fault{faults.ShortBody(100)}, origintest.Patient(), "cut", "digest"},
		{"an empty body", []faults.Fault{faults.Empty()}, origintest.Patient(), "cut", "digest"},
		{"a flipped byte", []faults.Fault{faults.FlipByte(-1)}, origintest.Patient(), "gzip", "digest"},
		{"a flipped byte in the middle", []faults.Fault{faults.FlipByte(150)}, origintest.Patient(), "gzip", "digest"},
		{"500", []faults.Fault{faults.Status(500)}, origintest.Patient(), "500", "500"},
		{"502", []faults.Fault{faults.Status(502)}, origintest.Patient(), "502", "502"},
		{"503", []faults.Fault{faults.Status(503)}, origintest.Patient(), "503", "503"},
		{"504", []faults.Fault{faults.Status(504)}, origintest.Patient(), "504", "504"},
		{"408", []faults.Fault{faults.Status(408)}, origintest.Patient(), "408", "408"},
		{"429", []faults.Fault{faults.Status(429)}, origintest.Patient(), "429", "429"},
		{"503 whose body hangs", []faults.Fault{faults.Status(503), faults.HangAfter(1)}, origintest.Patient(), "503", "503"},
		{"204", []faults.Fault{faults.Status(204)}, origintest.Patient(), "204", "204"},
		{"202", []faults.Fault{faults.Status(202)}, origintest.Patient(), "202", "202"},
		{"a page served as 200", []faults.Fault{faults.HTML()}, origintest.Patient(), "page", "page"},
		{"an empty packument", []faults.Fault{faults.Replace([]byte("{}"))}, origintest.Patient(), "metadata", "digest"},
		{"a packument of nothing", []faults.Fault{faults.Replace([]byte("null"))}, origintest.Patient(), "metadata", "digest"},
		{"a packument that cannot be parsed", []faults.Fault{faults.Replace([]byte(`{"name":"edge-sample-words","versions":}`))}, origintest.Patient(), "metadata", "digest"},
		{"not gzip", []faults.Fault{faults.BadGzip()}, origintest.Patient(), "gzip", "digest"},
		{"a gzip bomb", []faults.Fault{faults.GzipBomb(3)}, origintest.Patient(), "large", "digest"},
		{"a redirect to itself", []faults.Fault{faults.RedirectLoop()}, origintest.Patient(), "redirects", "redirects"},
		{"a redirect to a private address", []faults.Fault{faults.Redirect("http://10.0.0.1/x")}, origintest.Patient(), "private", "private"},
		{"a redirect to a metadata service", []faults.Fault{faults.Redirect("http://169.254.169.254/x")}, origintest.Patient(), "private", "private"},
		{"304 unasked", []faults.Fault{faults.NotModified()}, origintest.Patient(), "unasked", "unasked"},
		{"a huge header", []faults.Fault{faults.HugeHeader(100 << 10)}, origintest.Patient(), "fields", "fields"},
	} {
		for _, asked := range []struct{ what, path, report string }{
			{"metadata", aPackument, tt.metadata},
			{"file", aTarball, tt.file},
		} {
			t.Run(tt.name+"/"+asked.what, func(t *testing.T) {
				t.Parallel()
				w := origintest.NewTwo(t)
				b := newBehind(t, w.URLs, waits(tt.waits), maxMetadata(1<<20))
				rule := w.A.Break(faults.Path(asked.path), tt.faults...)
				r, err := b.get(t, asked.path)
				if err != nil {
					t.Fatal(err)
				}
				if r.Responds != 1 || r.Status != http.StatusOK {
					t.Fatalf("%d responses, the last %d; want one 200", r.Responds, r.Status)
				}
				if asked.what == "file" {
					origintest.Same(t, "tarball", r.Body, origintest.Download(t, w.URLs[1]+asked.path))
				} else {
					checkPackument(t, r, origintest.Download(t, w.URLs[1]+asked.path))
				}
				b.settle(t) // the one that was outrun may report last
				is := func(report string) bool { return slices.Contains(b.reported(), "A "+report) }
				if !slices.ContainsFunc(strings.Split(asked.report, " or "), is) {
					t.Errorf("reports %q; want A %s", b.reported(), asked.report)
				}
				if rule.Hits() == 0 {
					t.Error("the first master was not asked")
				}
			})
		}
	}
}

// Faults that only a listener of its own can have.
func TestFailsOverFromWhatNoServerDoes(t *testing.T) {
	short := origintest.Patient()
	short.Idle = time.Second // the wait for the other master too, on a busy machine
	for name, tt := range map[string]struct {
		serve  func(w http.ResponseWriter, r *http.Request)
		waits  transport.Timeouts
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
		}, origintest.Patient(), "A fields"},
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
				w := origintest.NewTwo(t)
				inner := listedBy(func(bool) ([]byte, error) { return nil, errors.New("no list") })
				b := newBehind(t, []string{origintest.Serve(t, tt.serve), w.URLs[1]}, waits(tt.waits), inner)
				r, err := b.get(t, path)
				if err != nil || r.Status != http.StatusOK {
					t.Fatalf("%d %v", r.Status, err)
				}
				if !slices.Contains(b.reported(), tt.report) {
					t.Errorf("reports %q; want %s", b.reported(), tt.report)
				}
			})
		}
	}
}

func TestFailsOverWhenConnectionsAreRefused(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	w.AServer.Refuse()
	for range 2 {
		if r, err := b.get(t, aPackument); err != nil || r.Status != http.StatusOK {
			t.Fatalf("%d, %v", r.Status, err)
		}
	}
	// The second time the one in trouble is asked last.
	origintest.Equal(t, "reports", b.reported(), []string{"A refused", "B 200", "B 200"})
}

func TestPrimaryIsAskedFirstWhereNothingElseDecides(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	if _, err := b.get(t, aPackument); err != nil {
		t.Fatal(err)
	}
	origintest.Equal(t, "reports", b.reported(), []string{"A 200"})

}

// It says nothing about a master that we did not wait for it.
func TestAbandonedFetchIsNoTrouble(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	w.A.Break(faults.Any, faults.Hang())
	gone := errors.New("every client left")
	ctx, cancel := context.WithCancelCause(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- b.Fetch(ctx, pool.Request{Route: b.route(aPackument)}, &origintest.Recorder{}) }()
	<-w.A.Arrived(faults.Any)
	cancel(gone)
	if err := <-failed; !errors.Is(err, gone) {
		t.Errorf("err = %v; want %v", err, gone)
	}
	if got := b.masters.Status().Masters[0].State; got != "healthy" {
		t.Errorf("the master is %s", got)
	}
	origintest.Equal(t, "reports", b.reported(), []string{"A abandoned"})
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
					m, s := origintest.StartMaster(t, store)
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
					b.masters.Failed(b.masters.Primary(), &health.Blame{Did: "not answered", Unanswered: true})
				}
				r, err := b.get(t, aPackument)
				want := tt.want
				if want == 404 {
					want = status
				}
				if want == 0 {
					isUnavailable(t, err)
				} else if err != nil || r.Status != want {
					t.Errorf("%d, %v; want %d", r.Status, err, want)
				}
				reports := slices.Clone(tt.reports)
				for i, s := range reports {
					reports[i] = strings.Replace(s, "404", strconv.Itoa(status), 1)
				}
				origintest.Equal(t, "reports", b.reported(), reports)
			})
		}
	}
}

// The only master that is left for long is believed, but of things that were written at another.
func TestTheOnlyMasterLeftIsBelieved(t *testing.T) {
	for _, tt := range []struct {
		name    string
		lonely  time.Duration
		written bool
		want    int // 0 is unavailable
	}{
		{"long enough", 0, false, 404},
		{"not long enough", time.Hour, false, 0},
		{"of something that was written", 0, true, 0},
	} {
		for _, path := range []string{"/edge-nothing", "/edge-nothing/-/edge-nothing-1.0.0.tgz", "/edge-sample-words/-/edge-sample-words-99.0.0.tgz"} {
			t.Run(tt.name+path, func(t *testing.T) {
				w := origintest.NewTwo(t)
				b := newBehind(t, w.URLs)
				b.lonely = tt.lonely
				w.AServer.Refuse()
				for b.masters.Status().Masters[0].State != "out" {
					b.masters.Failed(b.masters.Primary(), &health.Blame{Did: "not answered", Unanswered: true})
				}
				if r := b.route(path); tt.written {
					b.masters.Writes().Add(cmp.Or(r.Group, r.Key), time.Now())
				}
				r, err := b.get(t, path)
				if tt.want == 0 {
					isUnavailable(t, err)
				} else if err != nil || r.Status != tt.want {
					t.Errorf("%d, %v; want %d", r.Status, err, tt.want)
				}
			})
		}
	}
}

func TestUnavailableTellsWhy(t *testing.T) {
	t.Run("what a master asked for", func(t *testing.T) {
		w := origintest.NewTwo(t)
		b := newBehind(t, w.URLs)
		w.A.Break(faults.Any, faults.Status(429), faults.Set("Retry-After", "7"))
		w.B.Break(faults.Any, faults.Status(503), faults.Set("Retry-After", "3"))
		r, err := b.get(t, aPackument)
		u := isUnavailable(t, err)
		if u.Timeout || u.RetryAfter != 7*time.Second || len(u.Tried) != 2 || r.Responds != 0 {
			t.Errorf("%+v, %d responses", u, r.Responds)
		}
		for _, word := range []string{"cannot fetch packument", w.URLs[0] + ": answered 429", w.URLs[1] + ": answered 503"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("err = %v; want %q in it", err, word)
			}
		}
	})
	t.Run("waited in vain", func(t *testing.T) {
		w := origintest.NewTwo(t)
		short := origintest.Patient()
		short.FirstByte = 50 * time.Millisecond
		b := newBehind(t, w.URLs, waits(short))
		w.AServer.Refuse()
		w.B.Break(faults.Any, faults.Hang())
		_, err := b.get(t, aPackument)
		if u := isUnavailable(t, err); !u.Timeout {
			t.Errorf("%+v; want a timeout", u)
		}
	})
	t.Run("refused after a wait", func(t *testing.T) {
		w := origintest.NewTwo(t)
		short := origintest.Patient()
		short.FirstByte = 50 * time.Millisecond
		b := newBehind(t, w.URLs, waits(short))
		w.A.Break(faults.Any, faults.Hang())
		w.BServer.Refuse()
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
	m, s := origintest.StartMaster(t, store, faults.Under("/company/registry"))
	for _, base := range []string{s.URL(), s.URL() + "/"} {
		m.Forget()
		b := newBehind(t, []string{base})
		for _, path := range []string{"/@edge-sample%2fcolour", aTarball} {
			r, err := b.get(t, path)
			if err != nil || r.Status != http.StatusOK {
				t.Fatalf("%s below %s: %d, %v", path, base, r.Status, err)
			}
		}
		if m.Count(func(r faults.Record) bool { return r.Raw == "/company/registry/@edge-sample%2fcolour" }) != 1 {
			t.Errorf("below %s the path was not sent as it is escaped: %v", base, m.Requests()[0].Raw)
		}
	}
}

// The files kind hands on the answers of the origin, its errors included.
func TestPlainHandsOn(t *testing.T) {
	w := origintest.NewTwo(t)
	for path, body := range map[string]string{"/tree/a.bin": "bytes", "/tree/empty": ""} {
		if err := w.Store.AddFile(path, []byte(body), nil); err != nil {
			t.Fatal(err)
		}
	}
	b := newBehind(t, w.URLs, ofKind("files"))
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
			defer w.A.Mend()
			defer w.B.Mend()
			if tt.a != nil {
				w.A.Break(faults.Any, tt.a...)
			}
			if tt.b != nil {
				w.B.Break(faults.Any, tt.b...)
			}
			r, err := b.get(t, tt.path)
			if err != nil || r.Status != tt.status {
				t.Fatalf("%d, %v; want %d", r.Status, err, tt.status)
			}
			if tt.status == http.StatusOK {
				origintest.Same(t, "body", r.Body, []byte(tt.body))
			}
			if tt.status == http.StatusFound && r.Header.Get("Location") != "/npm/tree/b.bin" {
				t.Errorf("Location %q leads past the edge", r.Header.Get("Location"))
			}
		})
	}
}

var _ Sink = (*origintest.Recorder)(nil)
