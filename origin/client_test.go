package origin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/sample/faults"
)

func itoa(n int) string { return strconv.Itoa(n) }

// A shared fetch carries nothing of a client.
func TestSharedFetchIsTheEdgesOwn(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs[:1])
	for _, tt := range []struct{ path, accept, encoding string }{
		{aPackument, "application/json", "gzip"},
		{aTarball, "*/*", "identity"},
	} {
		w.a.Forget()
		if _, err := b.get(t, tt.path); err != nil {
			t.Fatal(err)
		}
		<-w.a.Arrived(faults.Path(tt.path))
		var got http.Header
		for _, r := range w.a.Requests() {
			if r.Path == tt.path {
				got = r.Header
			}
		}
		for name, want := range map[string]string{
			"Accept": tt.accept, "Accept-Encoding": tt.encoding, "User-Agent": "pkgedge",
			"Via": "1.1 edge-test", "Cdn-Loop": "edge-test",
		} {
			if got.Get(name) != want {
				t.Errorf("%s: %s: %q; want %q", tt.path, name, got.Get(name), want)
			}
		}
		if len(got) != 5 {
			t.Errorf("%s: %v; want five fields", tt.path, got)
		}
	}
}

// clientFields are those of a request that is its sender's alone.
func clientFields() http.Header {
	return http.Header{
		"Authorization": {"Bearer secret"}, "Npm-Otp": {"123456"}, "Npm-Command": {"install"},
		"User-Agent": {"npm/11"}, "Accept": {"text/plain"}, "Accept-Encoding": {"br"},
		"Via": {"1.1 proxy"}, "Cdn-Loop": {"cdn"}, "X-Kept": {"yes"},
		"Cookie": {"session=1"}, "Proxy-Authorization": {"Basic x"}, "If-None-Match": {`"theirs"`},
		"If-Modified-Since": {"Mon, 02 Jan 2006 15:04:05 GMT"}, "Range": {"bytes=0-1"}, "If-Range": {`"x"`},
		"Connection": {"keep-alive, x-hop", "X-Hop-Two"}, "X-Hop": {"1"}, "X-Hop-Two": {"1"},
		"Te": {"trailers"}, "Upgrade": {"h2c"}, "Expect": {"100-continue"}, "Host": {"evil.example"},
		"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-For": {"192.0.2.1"}, "Forwarded": {"host=evil.example"},
		"X-Original-Url": {"/admin"}, "X-Http-Method-Override": {"DELETE"},
	}
}

func TestForwardedFields(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs[:1])
	fields := clientFields()
	if _, err := b.ask(t, Ask{Route: b.route(aPackument), Header: fields, ETag: `"ours"`}); err != nil {
		t.Fatal(err)
	}
	got := last(t, w.a)
	want := map[string]string{
		"Authorization": "Bearer secret", "Npm-Otp": "123456", "Npm-Command": "install", "X-Kept": "yes",
		"User-Agent": "npm/11", "Accept": "application/json", "Accept-Encoding": "gzip",
		"If-None-Match": `"ours"`,
	}
	for name, value := range want {
		if got.Header.Get(name) != value {
			t.Errorf("%s: %q; want %q", name, got.Header.Get(name), value)
		}
	}
	equal(t, "Via", got.Header["Via"], []string{"1.1 proxy", "1.1 edge-test"})
	equal(t, "CDN-Loop", got.Header["Cdn-Loop"], []string{"cdn", "edge-test"})
	for name := range got.Header {
		if _, ok := want[name]; !ok && name != "Via" && name != "Cdn-Loop" {
			t.Errorf("%s: %q was sent along", name, got.Header[name])
		}
	}
	if got.Host == "evil.example" {
		t.Error("the client chose the host")
	}
	if len(fields["Via"]) != 1 || len(fields["Cdn-Loop"]) != 1 {
		t.Error("the client's own fields were changed")
	}
}

// The secrets in a request are for the master alone. Ports matter: the two
// masters of this test differ in nothing else, and net/http would take one for
// the other.
func TestCredentialsStayWithTheMaster(t *testing.T) {
	for _, tt := range []struct {
		name string
		hops func(w *two) // of the redirect
		want []string     // Authorization at the requests to a, then at those to b
	}{
		{"a redirect within the master", func(w *two) {
			w.a.BreakNext(1, faults.Any, faults.Redirect("/edge-sample-greet"))
		}, []string{"a Bearer secret", "a Bearer secret"}},
		{"a redirect to another host", func(w *two) {
			w.a.BreakNext(1, faults.Any, faults.Redirect(w.bothURLs[1]+"/edge-sample-greet"))
		}, []string{"a Bearer secret", "b "}},
		{"there and back again", func(w *two) {
			w.a.BreakNext(1, faults.Any, faults.Redirect(w.bothURLs[1]+"/edge-sample-greet"))
			w.b.BreakNext(1, faults.Any, faults.Redirect(w.bothURLs[0]+"/edge-sample-greet"))
		}, []string{"a Bearer secret", "a ", "b "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTwo(t)
			b := newBehind(t, w.bothURLs[:1])
			tt.hops(w)
			// What is asked for is not what the redirects lead to.
			if _, err := b.ask(t, Ask{Route: b.route("/edge-sample-greet"), Header: clientFields()}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for name, m := range map[string]*faults.Master{"a": w.a, "b": w.b} {
				for _, r := range m.Requests() {
					if name == "a" {
						got = append(got, "a "+r.Header.Get("Authorization"))
					}
					if name == "b" {
						for _, secret := range []string{"Npm-Otp", "Npm-Command", "X-Kept", "Referer"} {
							if r.Header.Get(secret) != "" {
								t.Errorf("%s: %q went elsewhere", secret, r.Header.Get(secret))
							}
						}
						if r.Header.Get("Cdn-Loop") == "" {
							t.Error("CDN-Loop was lost on the way")
						}
					}
				}
			}
			for _, r := range w.b.Requests() {
				got = append(got, "b "+r.Header.Get("Authorization"))
			}
			equal(t, "Authorization", got, tt.want)
		})
	}
}

func TestCheckRedirect(t *testing.T) {
	request := func(s string) *http.Request {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Request{URL: u, Header: http.Header{"Authorization": {"x"}}}
	}
	for _, tt := range []struct {
		name string
		urls []string // the last is where it would go
		ok   bool
		kept bool // the credentials
	}{
		{"the same host", []string{"https://a.example/x", "https://a.example/y"}, true, true},
		{"spelled otherwise", []string{"https://a.example/x", "https://A.EXAMPLE:443/y"}, true, true},
		{"plain, with its port", []string{"http://a.example:80/x", "http://a.example/y"}, true, true},
		{"another port", []string{"https://a.example/x", "https://a.example:444/y"}, true, false},
		{"a host below", []string{"https://a.example/x", "https://cdn.a.example/y"}, true, false},
		{"from http to https", []string{"http://a.example/x", "https://a.example/y"}, true, false},
		{"from https to http", []string{"https://a.example/x", "http://a.example/y"}, false, true},
		{"to a file", []string{"https://a.example/x", "file:///etc/passwd"}, false, true},
		{"back again", []string{"https://a.example/", "https://b.example/", "https://a.example/"}, true, false},
		{"five", []string{"http://a/", "http://a/", "http://a/", "http://a/", "http://a/", "http://a/"}, true, true},
		{"six", []string{"http://a/", "http://a/", "http://a/", "http://a/", "http://a/", "http://a/", "http://a/"}, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var all []*http.Request
			for _, u := range tt.urls {
				all = append(all, request(u))
			}
			req := all[len(all)-1]
			err := checkRedirect(req, all[:len(all)-1])
			if (err == nil) != tt.ok {
				t.Errorf("err = %v; want ok %v", err, tt.ok)
			}
			if kept := req.Header.Get("Authorization") != ""; tt.ok && kept != tt.kept {
				t.Errorf("credentials kept: %v; want %v", kept, tt.kept)
			}
		})
	}
}

// The idle time runs while a read waits, and at no other time.
func TestIdleTimeIsTheMastersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		body := newIdleBody(from, time.Second, cancel)
		buf := make([]byte, 8)

		<-time.After(time.Hour) // we wait for something else
		go to.Write([]byte("one"))
		if n, err := body.Read(buf); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		<-time.After(time.Hour) // our writers are slow
		if ctx.Err() != nil {
			t.Fatal("the master was blamed for our own delay")
		}

		read := make(chan struct{})
		go func() {
			defer close(read)
			body.Read(buf)
		}()
		<-time.After(time.Second - 1)
		if ctx.Err() != nil {
			t.Error("cancelled before the idle time was over")
		}
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), errIdle) {
			t.Errorf("cause = %v", context.Cause(ctx))
		}
		to.Close()
		<-read
		body.Close()
	})
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "1e3": 0, "7.5": 0,
		"86400": time.Minute, "99999999999999999999": 0, "9223372036854775807": time.Minute,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}); got != want {
			t.Errorf("Retry-After: %q is %v; want %v", value, got, want)
		}
	}
}
