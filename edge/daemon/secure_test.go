package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
	"pkgedge/edge/server"
)

// encrypted is an edge with both listeners.
type encrypted struct {
	*reloadable
	pair   string // tls.certificate
	site   string
	secure *server.Listener
}

func newEncrypted(t *testing.T) *encrypted {
	t.Helper()
	cert, key := edgetest.MakePairOf(t, t.TempDir(), "pair", func(c *x509.Certificate) { c.DNSNames = []string{"npm.example"} })
	e := &encrypted{pair: fmt.Sprintf("certificate: { cert: %s, key: %s }", cert, key)}
	e.site = plainSite(newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Strict-Transport-Security", "max-age=1; preload")
		fmt.Fprint(w, "x")
	})), "")
	e.reloadable = newReloadable(t, e.text("redirect: never"), func(edge *testEdge) {
		var err error
		if e.secure, err = edge.listenTLS(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	})
	return e
}

func (e *encrypted) text(keys string) string {
	return e.site + fmt.Sprintf("\ntls: { listen: '127.0.0.1:0', %s, %s }\n", e.pair, keys)
}

// ask sends a request to the plain or the encrypted listener, and follows no redirect.
func (e *encrypted) ask(method, url string, header ...string) *http.Response {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, url, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(header) && header[i] != ""; i += 2 {
		if req.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	c := edgetest.NewClient(e.t, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func TestPlainRequestsAreSentToTLS(t *testing.T) {
	e := newEncrypted(t)
	plain := "http://" + e.edge.listener.Addr().String()
	if resp := e.ask("GET", plain+"/files/a"); resp.StatusCode != http.StatusOK {
		t.Errorf("with redirect: never: %s", resp.Status)
	}
	public := "public_url: 'https://npm.example:8443'\n"
	e.reload(public + e.text("redirect: always"))
	for range 3 {
		e.ask("GET", "https://"+e.secure.Addr().String()+"/files/a", "Host", e.edge.listener.Addr().String()) // now the lane knows it
	}
	const a = "https://npm.example:8443/files/a"
	for _, tt := range []struct{ method, path, header, value, location string }{
		{"GET", "/files/a?x=%2F", "", "", a + "?x=%2F"},
		{"HEAD", "/files/a", "Host", "evil.example", a},
		{"PUT", "/files/a", "", "", a},
		{"GET", "/files/a", "X-Forwarded-Proto", "https", a},
		{"GET", "/.well-known/acme-challenge/x", "", "", ""},
	} {
		for range 3 { // also when the lane may know an answer
			resp := e.ask(tt.method, plain+tt.path, tt.header, tt.value)
			if sent := resp.StatusCode == http.StatusPermanentRedirect; sent != (tt.location != "") || resp.Header.Get("Location") != tt.location {
				t.Errorf("%s %s with %s %s: %s to %q; want %q", tt.method, tt.path, tt.header, tt.value, resp.Status, resp.Header.Get("Location"), tt.location)
			}
		}
	}
	e.reload(public + "limits: { trusted_proxies: [127.0.0.0/8] }\n" + e.text("redirect: always"))
	if resp := e.ask("GET", plain+"/files/a", "X-Forwarded-Proto", "https"); resp.StatusCode != http.StatusOK {
		t.Errorf("behind a trusted proxy that had it over TLS: %s", resp.Status)
	}
	if resp := e.ask("GET", plain+"/files/a", "X-Forwarded-Proto", "http"); resp.StatusCode != http.StatusPermanentRedirect {
		t.Errorf("behind a trusted proxy that had it in clear: %s", resp.Status)
	}
}

// Answers over TLS have the field, by the lane too, and plain ones never; a master's own
// does not come through.
func TestBrowsersAreToldToStay(t *testing.T) {
	e := newEncrypted(t)
	e.reload(e.text("redirect: never, hsts: 1d"))
	plain, secure := "http://"+e.edge.listener.Addr().String(), "https://"+e.secure.Addr().String()
	for _, path := range []string{"/files/a", "/files/b?x", "/"} {
		for range 3 { // a miss, a hit, and one that the lane may know
			if resp := e.ask("GET", plain+path, "Host", "npm.example"); len(resp.Header["Strict-Transport-Security"]) > 0 {
				t.Errorf("plain %s: %q", path, resp.Header)
			}
		}
		for range 3 {
			if resp := e.ask("GET", secure+path, "Host", "npm.example"); strings.Join(resp.Header["Strict-Transport-Security"], "|") != "max-age=86400" {
				t.Errorf("secure %s: %q", path, resp.Header)
			}
		}
	}
}
