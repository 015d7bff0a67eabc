package admin

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestTheRootIsAPageForABrowser(t *testing.T) {
	cfg := config(&purger{})
	cfg.Page = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<!DOCTYPE html>") })
	cfg.Events = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "event: status") })
	for _, tt := range []struct{ path, accept, want string }{
		{"/", "text/html,application/xhtml+xml,*/*;q=0.8", "<!DOCTYPE html>"},
		{"/", "*/*", "edge admin\n"},
		{"/", "", "edge admin\n"},
		{"/events", "text/event-stream", "event: status"},
		{"/page", "text/html", `{` + "\n" + `  "error": "there is no /page here`},
	} {
		w := serve(cfg, request("GET", tt.path, "", "Accept: "+tt.accept))
		if !strings.HasPrefix(w.Body.String(), tt.want) {
			t.Errorf("%s for %q: %.80q; want %q", tt.path, tt.accept, w.Body, tt.want)
		}
		if vary := w.Header().Get("Vary"); tt.path == "/" && vary != "Accept" {
			t.Errorf("%s for %q: Vary %q", tt.path, tt.accept, vary)
		}
		// A page of a stranger whose name leads here must not read it.
		if w := serve(cfg, request("GET", tt.path, "", "Accept: "+tt.accept, "Host: evil.example")); w.Code != http.StatusForbidden {
			t.Errorf("%s under another name: status %d, want 403", tt.path, w.Code)
		}
	}
}

// A page of another origin can have the browser of an operator send any request that a form, an image or a
// script can send. None of them changes anything.
func TestNoOtherPageChangesAnything(t *testing.T) {
	const own = "Authorization: Bearer s3cret"
	for _, tt := range []struct {
		name, token string
		fields      []string
		ours        bool
	}{
		{"a form of another site", "", []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Content-Type: text/plain"}, false},
		{"a form of another port of this machine", "", []string{"Origin: http://127.0.0.1:3000", "Sec-Fetch-Site: same-site"}, false},
		{"the same in a browser without Sec-Fetch-Site", "", []string{"Origin: http://127.0.0.1:3000"}, false},
		{"a page in a sandbox", "", []string{"Origin: null"}, false},
		{"our page", "", []string{"Origin: http://127.0.0.1:8081", "Sec-Fetch-Site: same-origin"}, true},
		{"our page in a browser without Sec-Fetch-Site", "", []string{"Origin: http://127.0.0.1:8081"}, true},
		{"another site, with the token in a cookie", "s3cret", []string{"Cookie: token=s3cret; Authorization=Bearer s3cret", "Sec-Fetch-Site: cross-site"}, false},
		{"our page, with the token in a cookie alone", "s3cret", []string{"Cookie: token=s3cret; Authorization=Bearer s3cret", "Sec-Fetch-Site: same-origin"}, false},
		{"the token in the query", "s3cret", []string{"Sec-Fetch-Site: same-origin"}, false},
		{"another site that knows the token", "s3cret", []string{own, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, false},
		{"our page with the token", "s3cret", []string{own, "Origin: http://127.0.0.1:8081", "Sec-Fetch-Site: same-origin"}, true},
	} {
		for _, path := range []string{"/purge", "/masters/npm/0/drain", "/masters/npm/0/undrain", "/reload"} {
			cfg := config(&purger{})
			cfg.Token = tt.token
			body := ""
			if path == "/purge" {
				body = purgeAll
			}
			r := request("POST", path+"?token=s3cret", body, append([]string{"Host: 127.0.0.1:8081"}, tt.fields...)...)
			r.RemoteAddr = "127.0.0.1:40000"
			code := serve(cfg, r).Code
			if refused := code == http.StatusForbidden || code == http.StatusUnauthorized; refused == tt.ours {
				t.Errorf("%s: POST %s is answered %d", tt.name, path, code)
			}
			r = request("GET", path, "", append([]string{"Host: 127.0.0.1:8081"}, tt.fields...)...)
			if code := serve(cfg, r).Code; code != http.StatusMethodNotAllowed {
				t.Errorf("%s: GET %s is answered %d", tt.name, path, code)
			}
		}
	}
}
