package daemon

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// credulous is an origin that believes all that a request says, and writes it into a
// response that may be stored.
func credulous(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("Set-Cookie", "session=victim")
	fmt.Fprintf(w, "%s %s\n%s", r.Method, r.RequestURI, body)
	for name, values := range r.Header {
		for _, v := range values {
			if strings.Contains(v, "evil") || strings.Contains(v, "victim") {
				fmt.Fprintf(w, "%s: %s\n", name, v)
			}
		}
	}
}

// newCredulous is an edge before such an origin.
func newCredulous(t *testing.T) *testEdge {
	t.Helper()
	e := newTestEdge(t, fmt.Sprintf(`sites: [{ name: files, kind: files, path: /f/, probe: { every: 1h }, masters: [{ url: "%s", role: primary }] }]`,
		newOrigin(t, http.HandlerFunc(credulous))), false)
	serveEdge(t, e)
	return e
}

// A field of one client that is no part of the key does not appear in the response that
// others get, by whichever name an origin believes it.
func TestNoFieldPoisonsTheNextClient(t *testing.T) {
	e := newCredulous(t)
	for i, name := range []string{
		"X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-For", "X-Forwarded-Prefix", "Forwarded",
		"X_Forwarded_Host", "X-Host", "X-HTTP-Host-Override", "X-Original-Host", "X-Original-URL", "X-Rewrite-URL", "X-Override-URL", "X-HTTP-Destinationurl", "X-Wap-Profile",
		"X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "Client-IP", "X-Client-IP", "X-Remote-Addr", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
		"Cookie", "Referer", "Proxy", "Range", "If-Range", "Content-Type", "X-Backend-Host", "X-Proxy-URL", "Base-URL", "X-Amz-Website-Redirect-Location", "Fastly-Host", "Surrogate-Capability",
	} {
		path := fmt.Sprintf("/f/%d", i)
		askHandler(e, "GET", path, http.Header{http.CanonicalHeaderKey(name): {"evil.example"}})
		if got := askHandler(e, "GET", path, nil).Body.String(); strings.Contains(got, "evil") {
			t.Errorf("%s: the next client gets %q", name, got)
		}
	}
}

// The stored response of a URL is the answer to a GET of it: no body, no other method, and no
// part of another URL is in it.
func TestNoRequestPoisonsAnotherURL(t *testing.T) {
	e := newCredulous(t)
	for i, attack := range []func(path string) (method, target string, h http.Header, body string){
		func(p string) (string, string, http.Header, string) { return "GET", p, nil, "evil=fat" },
		func(p string) (string, string, http.Header, string) { return "POST", p, nil, "evil" },
		func(p string) (string, string, http.Header, string) {
			return "POST", p, http.Header{"Content-Location": {p}}, "evil"
		},
		func(p string) (string, string, http.Header, string) { return "PUT", p, nil, "evil" },
		func(p string) (string, string, http.Header, string) { return "BREW", p, nil, "evil" },
		func(p string) (string, string, http.Header, string) { return "GET", p + "?evil=1", nil, "" },
		func(p string) (string, string, http.Header, string) {
			return "GET", p + "?_method=DELETE&evil", nil, ""
		},
		func(p string) (string, string, http.Header, string) { return "GET", p + ";evil=1", nil, "" },
		func(p string) (string, string, http.Header, string) { return "GET", p + "/evil", nil, "" },
		func(p string) (string, string, http.Header, string) { return "GET", p + "%2fevil", nil, "" },
		func(p string) (string, string, http.Header, string) { return "GET", p + "%3fevil", nil, "" },
		func(p string) (string, string, http.Header, string) { return "GET", p + "%23evil", nil, "" },
		func(p string) (string, string, http.Header, string) { return "GET", p + "%00evil", nil, "" },
		func(p string) (string, string, http.Header, string) { return "GET", p + "%0d%0aevil", nil, "" },
		func(p string) (string, string, http.Header, string) {
			return "HEAD", p, http.Header{"X-Http-Method": {"evil"}}, ""
		},
	} {
		path := fmt.Sprintf("/f/u%d", i)
		method, target, h, body := attack(path)
		if u, err := url.ParseRequestURI(target); err == nil {
			r := &http.Request{Method: method, URL: u, RequestURI: target, Host: e.cfg.Listen, RemoteAddr: "127.0.0.1:9", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
			for name, values := range h {
				r.Header[name] = values
			}
			func() {
				defer func() { _ = recover() }() // an aborted handler
				e.handler.ServeHTTP(discarded{}, r)
			}()
		}
		resp := askHandler(e, "GET", path, nil)
		if got, want := resp.Body.String(), "GET /"+path[len("/f/"):]+"\n"; got != want || resp.Code != http.StatusOK {
			t.Errorf("%s %s: the next client gets %d %q; want %q", method, target, resp.Code, got, want)
		}
	}
}

type discarded struct{ noResponse }

// By no ending of a path is the response to somebody's credential or cookie
// given to others, and no Set-Cookie is replayed (web cache deception).
func TestNoPathDeceivesTheCache(t *testing.T) {
	e := newCredulous(t)
	for _, ending := range []string{
		".css", ".js", "/x.css", "/x.png", ";x.css", "%3bx.css", "%2fx.css", "%3fx.css", "%23x.css", "%0ax.css", "%00.css", "?x.css", "/..%2fx.css", "/.css", "/%2e%2e/x.css",
		"/robots.txt", "/favicon.ico", "/index.html", "/-/x.tgz", ".tgz", "/static/..%2f..%2faccount",
	} {
		for name, value := range map[string]string{"Authorization": "Bearer victim", "Cookie": "session=victim"} {
			path := "/f/account/" + name + ending
			askHandler(e, "GET", path, http.Header{name: {value}})
			resp := askHandler(e, "GET", path, nil)
			if strings.Contains(resp.Body.String(), "victim") {
				t.Errorf("%s with %s: a stranger gets %q", path, name, resp.Body)
			}
			if strings.Contains(resp.Header().Get("Cache-Status"), "hit") && resp.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s: a stored response sets a cookie", path)
			}
		}
	}
}

// A client cannot have a master change the protocol of a connection that others use after it.
func TestThereIsNoTunnelToAMaster(t *testing.T) {
	fields := make(chan http.Header, 10)
	e := newTestEdge(t, fmt.Sprintf(`sites: [{ name: files, kind: files, path: /f/, probe: { every: 1h }, masters: [{ url: "%s", role: primary }] }]`,
		newOrigin(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fields <- r.Header }))), false)
	serveEdge(t, e)
	for _, method := range []string{"GET", "PUT"} {
		for _, protocol := range []string{"websocket", "h2c"} {
			askHandler(e, method, "/f/"+method+protocol, http.Header{"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {protocol}, "Http2-Settings": {"AAMAAABk"}})
			h := <-fields
			if h.Get("Upgrade") != "" || h.Get("Connection") != "" || h.Get("HTTP2-Settings") != "" {
				t.Errorf("%s: a master gets %v", method, h)
			}
		}
	}
}

// docs/security.md names a test for each technique, and each of them is there.
func TestEachTechniqueHasItsTest(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	found, err := exec.Command("grep", "-rhoE", "--include=*_test.go", `^func (Test|Fuzz)[A-Za-z0-9_]+`, "../..").Output()
	if err != nil {
		t.Skip("there is no grep: ", err)
	}
	tests := strings.Split(strings.ReplaceAll(string(found), "func ", ""), "\n")
	row, rows := regexp.MustCompile(`(?m)^\| .* \| .* \| (.*) \|$`), 0
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		if m[1] == "Test" || strings.HasPrefix(m[1], "--") {
			continue
		}
		rows++
		names := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`").FindAllStringSubmatch(m[1], -1)
		if len(names) == 0 {
			t.Errorf("no test: %s", m[0])
		}
		for _, name := range names {
			if !slices.Contains(tests, name[1]) {
				t.Errorf("there is no %s: %s", name[1], m[0])
			}
		}
	}
	if rows < 50 {
		t.Errorf("%d rows found, which are not all", rows)
	}
}
