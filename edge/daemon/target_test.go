package daemon

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
	"pkgedge/origin/kind/kindtest"
)

// The absolute form of a request is answered as the origin form for the same host is,
// and otherwise with 421, in clear and inside TLS.
func TestRequestTargets(t *testing.T) {
	for _, secure := range []bool{false, true} {
		e := newTestEdge(t, `sites:
  - { name: own, path: /npm/, hosts: [Registry.Example., "[2001:db8::1]", localhost] }
  - { name: ipv4, path: /npm/, hosts: [127.0.0.1] }`, false)
		if secure {
			cert, key := edgetest.MakePair(t, t.TempDir(), "edge")
			pair, err := tls.LoadX509KeyPair(cert, key)
			if err != nil {
				t.Fatal(err)
			}
			e.listener.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		}
		serveEdge(t, e)
		_, port, _ := net.SplitHostPort(e.cfg.Listen)
		for _, authority := range []string{
			"registry.example", "registry.example.", "REGISTRY.Example", "registry.example:80", "registry.example:443", "Registry.example.:443",
			"registry.example:" + port, "registry.example:", "localhost:" + port, "LOCALHOST", "127.0.0.1:" + port, "127.0.0.1",
			"[2001:db8::1]", "[2001:DB8:0::1]:443", "[2001:db8::1]:",
		} {
			for _, target := range []string{"/npm/-/ping", "http://" + authority + "/npm/-/ping", "https://" + authority + "/npm/-/ping", "HTTPS://" + authority + "/npm//-/ping/"} {
				if status := askRaw(t, e, secure, target, authority); status != http.StatusOK {
					t.Errorf("TLS %t: GET %s, Host: %s: %d", secure, target, authority, status)
				}
			}
			// The Host field does not count beside an absolute target (RFC 9112 section 3.2.2).
			if status := askRaw(t, e, secure, "http://"+authority+"/npm/-/ping", "other.example"); status != http.StatusOK {
				t.Errorf("TLS %t: %s beside another Host: %d", secure, authority, status)
			}
		}
		for _, authority := range []string{"other.example", "registry.example.org", "registry", "registry.example..", "127.0.0.2", "[2001:db8::2]", "[::1]:" + port} {
			if status := askRaw(t, e, secure, "http://"+authority+"/npm/-/ping", "registry.example"); status != http.StatusMisdirectedRequest {
				t.Errorf("TLS %t: %s: %d", secure, authority, status)
			}
			if status := askRaw(t, e, secure, "/npm/-/ping", authority); status != http.StatusNotFound {
				t.Errorf("TLS %t: Host: %s: %d", secure, authority, status)
			}
		}
		for _, target := range []string{"ftp://registry.example/npm/-/ping", "urn:npm", "http:/npm/-/ping"} {
			if status := askRaw(t, e, secure, target, "registry.example"); status != http.StatusMisdirectedRequest {
				t.Errorf("TLS %t: %s: %d", secure, target, status)
			}
		}
	}
}

// askRaw sends a request to the letter, and returns the status.
func askRaw(t *testing.T, e *testEdge, secure bool, target, host string) int {
	t.Helper()
	c, err := net.Dial("tcp", e.cfg.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(edgetest.Patience))
	if secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, host)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("GET %s: %v", target, err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// Slashes in a row and at the end are one thing to a registry, also in the path of its site,
// and another path to a files site.
func TestSlashesOfASite(t *testing.T) {
	var asked atomic.Int32
	origin := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.WriteString(w, r.URL.EscapedPath())
	}))
	e := newTestEdge(t, fmt.Sprintf(`sites:
  - { name: npm, path: /npm/ }
  - { name: files, kind: files, path: /, masters: [{ url: "%s", role: primary }] }`, origin), false)
	serveEdge(t, e)
	client := edgetest.NewClient(t, nil)
	get := func(path string) (status, cached, body string) {
		resp, body, err := edgetest.GetText(t, client, "http://"+e.cfg.Listen+path)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Status, resp.Header.Get("Cache-Status"), body
	}
	for _, path := range []string{"/npm/edge-sample-words", "/npm/edge-sample-words/1.0.0", "/npm/-/ping"} {
		_, _, want := get(path)
		for _, p := range append(kindtest.Slashes(path), path) {
			for _, end := range []string{"", "/", "//"} {
				status, cached, body := get(p + end)
				if hit := strings.Contains(cached, "; hit"); status != "200 OK" || body != want || !hit && !strings.Contains(cached, "local") {
					t.Errorf("%s: %s, %s, %d bytes; want %d", p+end, status, cached, len(body), len(want))
				}
			}
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the files site's master was asked %d times", n)
	}
	for _, path := range []string{"/a", "/a/", "//a", "/a//b", "/a//b/", "///"} {
		if _, _, body := get(path); body != path {
			t.Errorf("a file at %s: the origin was asked for %s", path, body)
		}
	}
}
