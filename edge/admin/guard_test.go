package admin

import (
	"context"
	"net/http"
	"testing"
)

const purgeAll = `{"all": true}`

func TestWhoMayPurge(t *testing.T) {
	for _, c := range []struct {
		name   string
		token  string
		peer   string
		header []string
		status int
	}{
		{"without a token, this machine", "", "127.0.0.1:1", nil, 200},
		{"without a token, this machine over IPv6", "", "[::1]:1", nil, 200},
		{"without a token, this machine mapped", "", "[::ffff:127.0.0.1]:1", nil, 200},
		{"without a token, no other machine", "", "192.0.2.1:1", nil, 403},
		{"without a token, no peer without an address", "", "@", nil, 403},
		{"without a token, none sent makes a stranger known", "", "192.0.2.1:1", []string{"Authorization: Bearer "}, 403},

		{"with a token, whoever has it", "s3cret", "192.0.2.1:1", []string{"Authorization: Bearer s3cret"}, 200},
		{"the scheme's case does not matter", "s3cret", "192.0.2.1:1", []string{"Authorization: bearer s3cret"}, 200},
		{"with a token, not even this machine without it", "s3cret", "127.0.0.1:1", nil, 401},
		{"a wrong token", "s3cret", "127.0.0.1:1", []string{"Authorization: Bearer s3cres"}, 401},
		{"part of the token", "s3cret", "127.0.0.1:1", []string{"Authorization: Bearer s3cre"}, 401},
		{"more than the token", "s3cret", "127.0.0.1:1", []string{"Authorization: Bearer s3cret1"}, 401},
		{"the token's case matters", "s3cret", "127.0.0.1:1", []string{"Authorization: Bearer S3CRET"}, 401},
		{"another scheme", "s3cret", "127.0.0.1:1", []string{"Authorization: Basic s3cret"}, 401},
		{"only the token", "s3cret", "127.0.0.1:1", []string{"Authorization: s3cret"}, 401},

		{"a page of another site", "", "127.0.0.1:1", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"a page of another origin in an old browser", "", "127.0.0.1:1", []string{"Origin: https://evil.example"}, 403},
		{"a page of another site with the token", "s3cret", "127.0.0.1:1", []string{"Authorization: Bearer s3cret", "Sec-Fetch-Site: cross-site"}, 403},
		{"our own page", "", "127.0.0.1:1", []string{"Sec-Fetch-Site: same-origin"}, 200},

		{"a name pointed at this machine", "", "127.0.0.1:1", []string{"Host: evil.example:8081"}, 403},
		{"the listener's own address", "", "127.0.0.1:1", []string{"Host: 192.0.2.10:8081"}, 200},
		{"localhost", "", "127.0.0.1:1", []string{"Host: LocalHost:8081"}, 200},
		{"loopback over IPv6", "", "127.0.0.1:1", []string{"Host: [::1]:8081"}, 200},
		{"loopback without a port", "", "127.0.0.1:1", []string{"Host: 127.0.0.53"}, 200},
		{"no Host", "", "127.0.0.1:1", []string{"Host: "}, 403},
		{"a name that only begins well", "", "127.0.0.1:1", []string{"Host: 127.0.0.1.evil.example"}, 403},
		{"with a token, any name", "s3cret", "192.0.2.1:1", []string{"Authorization: Bearer s3cret", "Host: edge.example"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &purger{}
			cfg := config(p)
			cfg.Token = c.token
			r := request("POST", "/purge", purgeAll, c.header...)
			r.RemoteAddr = c.peer
			w := serve(cfg, r)
			if w.Code != c.status {
				t.Errorf("status %d %s, want %d", w.Code, w.Body, c.status)
			}
			if purged := len(p.seen) == 1; purged != (c.status == 200) {
				t.Errorf("purged = %v with status %d", purged, c.status)
			}
			if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (c.status == 401) {
				t.Errorf("WWW-Authenticate %q with status %d", challenge, c.status)
			}
		})
	}
}

func TestAListenerOnEveryAddressAddsNoName(t *testing.T) {
	cfg := config(&purger{})
	cfg.Listen = ":8081"
	if w := serve(cfg, request("GET", "/status", "", "Host: :8081")); w.Code != 403 {
		t.Errorf("an empty Host: status %d, want 403", w.Code)
	}
}

func TestReadingWithoutATokenNeedsOurName(t *testing.T) {
	for _, c := range []struct {
		token, host string
		status      int
	}{
		{"", "evil.example", 403},
		{"", "127.0.0.1:8081", 200},
		{"s3cret", "192.0.2.10:8081", 200},
	} {
		cfg := config(&purger{})
		cfg.Token = c.token
		r := request("GET", "/status", "", "Host: "+c.host)
		r.RemoteAddr = "192.0.2.1:1"
		if w := serve(cfg, r); w.Code != c.status {
			t.Errorf("token %q, Host %q: status %d, want %d", c.token, c.host, w.Code, c.status)
		}
	}
}

// A token is asked for where a stranger may be reading: the names of packages, and figures under a
// name that its owner can point at this machine.
func TestReadingWithAToken(t *testing.T) {
	const own = "Authorization: Bearer s3cret"
	for _, tt := range []struct {
		name, peer        string
		header            []string
		figures, contents int
	}{
		{"this machine", "127.0.0.1:1", nil, 200, 200},
		{"this machine over IPv6", "[::1]:1", []string{"Host: [::1]:8081"}, 200, 200},
		{"this machine by its name", "127.0.0.1:1", []string{"Host: localhost:8081"}, 200, 200},
		{"a proxy on this machine", "127.0.0.1:1", []string{"X-Forwarded-For: 192.0.2.1"}, 200, 401},
		{"another proxy on this machine", "127.0.0.1:1", []string{"Via: 1.1 proxy"}, 200, 401},
		{"another machine that says it is this one", "192.0.2.1:1", nil, 200, 401},
		{"another machine", "192.0.2.1:1", []string{"Host: 192.0.2.10:8081"}, 200, 401},
		{"another machine by another address", "192.0.2.1:1", []string{"Host: [2001:db8::1]:8081"}, 200, 401},
		{"a container", "192.0.2.1:1", []string{"Host: edge:8081"}, 200, 401},
		{"another machine with the token", "192.0.2.1:1", []string{"Host: edge.example:8081", own}, 200, 200},
		{"with a wrong token", "192.0.2.1:1", []string{"Host: edge.example:8081", own + "s"}, 401, 401},
		{"a stranger's name that points here", "127.0.0.1:1", []string{"Host: evil.example:8081", "Sec-Fetch-Site: same-origin"}, 401, 401},
		{"the same from another machine", "192.0.2.1:1", []string{"Host: evil.example"}, 401, 401},
		{"a name that begins like an address", "127.0.0.1:1", []string{"Host: 127.0.0.1.evil.example"}, 401, 401},
		{"no name", "127.0.0.1:1", []string{"Host: "}, 401, 401},
		{"our page", "127.0.0.1:1", []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"}, 200, 200},
		{"a page of another site", "127.0.0.1:1", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, 403, 403},
		{"a page of another port", "127.0.0.1:1", []string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"}, 403, 403},
		{"a page of another site with the token", "127.0.0.1:1", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", own}, 403, 403},
		{"the same in an old browser", "127.0.0.1:1", []string{"Origin: https://evil.example"}, 403, 403},
		{"a page in a sandbox", "127.0.0.1:1", []string{"Origin: null"}, 403, 403},
		{"our page in an old browser", "127.0.0.1:1", []string{"Origin: http://127.0.0.1:8081"}, 200, 200},
		{"a link on another site", "127.0.0.1:1", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 200, 200},
	} {
		for path, want := range map[string]int{
			"/status": tt.figures, "/metrics": tt.figures, "/why?package=a": tt.contents, "/events": tt.contents, "/healthz": 200, "/readyz": 200, "/": 200,
		} {
			cfg := config(&purger{})
			cfg.Token = "s3cret"
			cfg.Explainer = explains{}
			cfg.Events = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
			r := request("GET", path, "", tt.header...)
			r.RemoteAddr = tt.peer
			w := serve(cfg, r)
			if w.Code != want {
				t.Errorf("%s: GET %s is answered %d %s, want %d", tt.name, path, w.Code, w.Body, want)
			}
			if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (w.Code == 401) {
				t.Errorf("%s: GET %s: status %d with WWW-Authenticate %q", tt.name, path, w.Code, challenge)
			}
		}
	}
}

// A page of another origin reads nothing, and takes no place of a stream, where there is no token either.
func TestPagesOfOtherOriginsReadNothing(t *testing.T) {
	for _, path := range []string{"/status", "/metrics", "/why?package=a", "/events"} {
		cfg := config(&purger{})
		cfg.Events = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a stream is open") })
		if w := serve(cfg, request("GET", path, "", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors")); w.Code != http.StatusForbidden {
			t.Errorf("GET %s is answered %d", path, w.Code)
		}
	}
}

// explains explains nothing.
type explains struct{}

func (explains) Explain(context.Context, Question) ([]Why, error) { return nil, nil }
