package fetch

import (
	"net/http"
	"testing"

	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
	"pkgedge/origin/sample/faults"
)

// A shared fetch carries nothing of a client.
func TestSharedFetchIsTheEdgesOwn(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs[:1])
	for _, tt := range []struct{ path, accept, encoding string }{
		{aPackument, "application/json", "gzip"},
		{aTarball, "*/*", "identity"},
	} {
		w.A.Forget()
		if _, err := b.get(t, tt.path); err != nil {
			t.Fatal(err)
		}
		<-w.A.Arrived(faults.Path(tt.path))
		var got http.Header
		for _, r := range w.A.Requests() {
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
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs[:1])
	fields := clientFields()
	if _, err := b.ask(t, pool.Request{Route: b.route(aPackument), Header: fields, ETag: `"ours"`}); err != nil {
		t.Fatal(err)
	}
	got := origintest.Last(t, w.A)
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
	origintest.Equal(t, "Via", got.Header["Via"], []string{"1.1 proxy", "1.1 edge-test"})
	origintest.Equal(t, "CDN-Loop", got.Header["Cdn-Loop"], []string{"cdn", "edge-test"})
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
		hops func(w *origintest.Two) // of the redirect
		want []string                // Authorization at the requests to a, then at those to b
	}{
		{"a redirect within the master", func(w *origintest.Two) {
			w.A.BreakNext(1, faults.Any, faults.Redirect("/edge-sample-greet"))
		}, []string{"a Bearer secret", "a Bearer secret"}},
		{"a redirect to another host", func(w *origintest.Two) {
			w.A.BreakNext(1, faults.Any, faults.Redirect(w.URLs[1]+"/edge-sample-greet"))
		}, []string{"a Bearer secret", "b "}},
		{"there and back again", func(w *origintest.Two) {
			w.A.BreakNext(1, faults.Any, faults.Redirect(w.URLs[1]+"/edge-sample-greet"))
			w.B.BreakNext(1, faults.Any, faults.Redirect(w.URLs[0]+"/edge-sample-greet"))
		}, []string{"a Bearer secret", "a ", "b "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := origintest.NewTwo(t)
			b := newBehind(t, w.URLs[:1])
			tt.hops(w)
			// The path asked for is not the one that the redirects lead to.
			if _, err := b.ask(t, pool.Request{Route: b.route("/edge-sample-greet"), Header: clientFields()}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for name, m := range map[string]*faults.Master{"a": w.A, "b": w.B} {
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
			for _, r := range w.B.Requests() {
				got = append(got, "b "+r.Header.Get("Authorization"))
			}
			origintest.Equal(t, "Authorization", got, tt.want)
		})
	}
}
