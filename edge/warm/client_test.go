package warm

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answerOf makes a response of "Name: value" fields.
func answerOf(status int, body io.Reader, fields ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: io.NopCloser(body)}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		resp.Header.Add(name, value)
	}
	return resp
}

func clientOf(f roundTrip) *client {
	return &client{base: "http://edge.example", http: &http.Client{Transport: f}, timeout: time.Minute}
}

func TestWarmComesBackWhenToldTo(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		field  string
		times  int // how often the edge says so
		wait   time.Duration
		gives  bool // up
	}{
		{"429 with seconds", 429, "Retry-After: 7", 2, 14 * time.Second, false},
		{"429 without", 429, "X: y", 3, 3 * time.Second, false},
		{"429 with a date", 429, "Retry-After: Sat, 01 Jan 2000 00:00:09 GMT", 1, 9 * time.Second, false},
		{"429 with a date that is over", 429, "Retry-After: Fri, 31 Dec 1999 00:00:00 GMT", 1, time.Second, false},
		{"503 with seconds", 503, "Retry-After: 5", 1, 5 * time.Second, false},
		{"503 without", 503, "X: y", 1, 0, true},
		{"429 for longer than the limit", 429, "Retry-After: 3600", 1, 0, true},
		{"429 again and again", 429, "Retry-After: 50", 9, 100 * time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				c := clientOf(func(*http.Request) (*http.Response, error) {
					if asked++; asked <= tt.times {
						return answerOf(tt.status, strings.NewReader(`{"error": "slow down"}`), tt.field), nil
					}
					return answerOf(200, strings.NewReader("bytes"), "Cache-Status: edge; hit"), nil
				})
				start := time.Now() // midnight of 1 January 2000
				got, err := c.tarball(t.Context(), "a", "a-1.0.0.tgz", nil)
				if gave := !errors.Is(err, errNoDigest); gave != tt.gives {
					t.Errorf("gave up: %v, %v; want %v", gave, err, tt.gives)
				}
				if tt.gives && !strings.HasSuffix(err.Error(), ": slow down") {
					t.Errorf("error is %q; want the edge's reason", err)
				}
				if took := time.Since(start); took != tt.wait {
					t.Errorf("waited %s; want %s", took, tt.wait)
				}
				if !tt.gives && (got.waits != tt.times || got.from != fromCache) {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

func TestWarmKeepsEverythingBackMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		refused := false
		c := clientOf(func(r *http.Request) (*http.Response, error) {
			if !refused {
				refused = true
				return answerOf(429, strings.NewReader(""), "Retry-After: 20"), nil
			}
			if since := time.Since(start); since < 20*time.Second {
				t.Errorf("asked for %s after %s", r.URL.Path, since)
			}
			return answerOf(200, strings.NewReader("{}")), nil
		})
		done := make(chan struct{})
		go func() {
			c.packument(t.Context(), wantedPackage{name: "a"})
			close(done)
		}()
		synctest.Wait() // the request for a waits
		c.packument(t.Context(), wantedPackage{name: "b"})
		<-done
	})
}

func TestWarmIsPatientWhileAnyoneIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(func(r *http.Request) (*http.Response, error) {
			<-time.After(10 * time.Millisecond)
			if r.URL.Path == "/a" && time.Now().Before(time.Date(2000, 1, 1, 0, 10, 0, 0, time.UTC)) {
				return answerOf(429, strings.NewReader(""), "Retry-After: 50"), nil
			}
			return answerOf(200, strings.NewReader("{}")), nil
		})
		done := make(chan error, 1)
		go func() {
			_, _, err := c.packument(t.Context(), wantedPackage{name: "a"})
			done <- err
		}()
		for range 12 {
			<-time.After(50 * time.Second)
			if _, _, err := c.packument(t.Context(), wantedPackage{name: "b"}); err != nil {
				t.Error(err)
			}
		}
		if err := <-done; err != nil {
			t.Errorf("gave up: %v", err)
		}
	})
}

func TestWarmStopsWaitingWhenItIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(func(*http.Request) (*http.Response, error) {
			return answerOf(429, strings.NewReader(""), "Retry-After: 60"), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, _, err := c.packument(ctx, wantedPackage{name: "a"})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

// dripping gives a byte each time, after a wait, and then stands still.
type dripping struct {
	ctx  context.Context
	left int
	wait time.Duration
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.left == 0 {
		<-d.ctx.Done()
		return 0, d.ctx.Err()
	}
	d.left--
	select {
	case <-time.After(d.wait):
		p[0] = '.'
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func TestWarmGivesUpWhatStandsStillAndNotWhatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(func(r *http.Request) (*http.Response, error) {
			return answerOf(200, &dripping{ctx: r.Context(), left: 5, wait: 59 * time.Second}), nil
		})
		start := time.Now()
		got, err := c.tarball(t.Context(), "a", "a.tgz", nil)
		if err == nil || err.Error() != "nothing came for 1m0s" || got.bytes != 5 {
			t.Errorf("%+v, %v", got, err)
		}
		if took, want := time.Since(start), 5*59*time.Second+time.Minute; took != want {
			t.Errorf("gave up after %s; want %s", took, want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		start := time.Now()
		if _, _, err := c.packument(t.Context(), wantedPackage{name: "a"}); err == nil || err.Error() != "nothing came for 1m0s" {
			t.Errorf("without headers: %v", err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("without headers: gave up after %s", took)
		}
	})
}

func TestCacheSource(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		want   source
	}{
		{nil, fromUnknown},
		{[]string{"edge; hit; ttl=3; detail=hit"}, fromCache},
		{[]string{"edge; hit=?0"}, fromMaster},
		{[]string{"edge; fwd=uri-miss; fwd-status=200; stored"}, fromMaster},
		{[]string{"edge; fwd=stale; fwd-status=304"}, fromMaster},
		{[]string{"edge; fwd=uri-miss; collapsed"}, fromMaster},
		{[]string{"far; hit, edge; fwd=uri-miss"}, fromMaster},
		{[]string{"far; fwd=uri-miss", "edge; hit"}, fromCache},
		{[]string{"(a b); hit"}, fromUnknown},
		{[]string{"\"cut"}, fromUnknown},
	} {
		if got := cacheSource(http.Header{"Cache-Status": tt.fields}); got != tt.want {
			t.Errorf("%q is from %d; want %d", tt.fields, got, tt.want)
		}
	}
}

func TestScanPackument(t *testing.T) {
	wanted := []wantedVersion{{version: "1.0.0"}, {version: "2.0.0"}}
	for _, tt := range []struct {
		name, text string
		want       map[string]dist // nil for an error
	}{
		{"both, and others", `{"a": [{}], "versions": {"1.0.0": {"dist": {"tarball": "t", "integrity": "i", "shasum": "s", "size": 1}}, "3.0.0": {"dist": 3}, "2.0.0": {"x": 1}}, "z": 1}`,
			map[string]dist{"1.0.0": {"t", "i", "s"}, "2.0.0": {}}},
		{"a dist of another shape", `{"versions": {"1.0.0": {"dist": {"tarball": "t", "integrity": [1]}}}}`, map[string]dist{"1.0.0": {}}},
		{"no versions", `{}`, map[string]dist{}},
		{"equal keys", `{"a": 1, "a": 2, "versions": {"1.0.0": {"dist": {"tarball": "a", "tarball": "b"}}}}`, map[string]dist{"1.0.0": {Tarball: "b"}}},
		{"cut", `{"versions": {"1.0.0": {}`, nil},
		{"versions of another shape", `{"versions": []}`, nil},
		{"a list", `[]`, nil},
		{"nothing", ``, nil},
		{"two documents", `{} {}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := scanPackument(iotest.OneByteReader(strings.NewReader(tt.text)), wanted)
			if (err != nil) != (tt.want == nil) || len(got) != len(tt.want) {
				t.Fatalf("%v, %v; want %v", got, err, tt.want)
			}
			for version, d := range tt.want {
				if found, ok := got[version]; !ok || found != d {
					t.Errorf("%s has %+v; want %+v", version, found, d)
				}
			}
		})
	}
}

func FuzzScanPackument(f *testing.F) {
	f.Add([]byte(`{"versions": {"1.0.0": {"dist": {"tarball": "https://registry.example/a/-/a.tgz", "shasum": "00"}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := scanPackument(strings.NewReader(string(text)), []wantedVersion{{version: "1.0.0"}})
		if (err == nil) == (got == nil) {
			t.Errorf("%v, %v", got, err)
		}
		for version, d := range got {
			if version != "1.0.0" {
				t.Errorf("%q was not wanted", version)
			}
			if file := d.file(wantedVersion{version: version}, "@s/a"); file == "" || strings.Contains(file, "/") {
				t.Errorf("the file is %q", file)
			}
			d.checks()
		}
	})
}
