package admin

import "testing"

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
		{"s3cret", "edge.example", 200},
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
