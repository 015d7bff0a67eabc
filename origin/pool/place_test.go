package pool

import (
	"net/url"
	"strings"
	"testing"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
)

// Where a master is asked for a file. "!" marks a place that is not at the master: no
// credential goes there.
func TestPlaces(t *testing.T) {
	const path = "/@s/n/-/n-1.0.0.tgz"
	parse := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, tt := range []struct {
		name, masters, others, at string
		want                      string // of the last master
	}{
		{"nothing is known", "http://a", "", "", "http://a" + path},
		{"a path below the master", "http://a/npm", "", "/~/11/@s/n/1.0.0.tgz", "http://a/npm/~/11/@s/n/1.0.0.tgz http://a/npm" + path},
		{"with a query", "http://a", "", "/n/download/n.tgz?cache=0&x=%2f", "http://a/n/download/n.tgz?cache=0&x=%2f http://a" + path},
		{"escaped to the letter", "http://a", "", "/@s%2Fn/-/n%2D1.tgz", "http://a/@s%2Fn/-/n%2D1.tgz http://a" + path},
		{"the usual place", "http://a", "", path, "http://a" + path},
		{"the same path at another master", "http://a http://b/npm", "", "/f/x", "http://b/npm/f/x http://b/npm" + path},
		{"outside the base path of the master", "http://a/npm", "", "http://a/files/x?y", "http://a/files/x?y http://a/npm" + path},
		{"and of another one", "http://a/npm http://b/npm", "", "http://a/files/x", "http://b/files/x http://b/npm" + path},
		{"below the base path of another master", "http://a/one http://b/two", "", "http://a/one/f/x", "http://b/two/f/x http://b/two" + path},
		{"the default port, another case, a dot", "http://a.example", "", "http://A.example.:80/f", "http://a.example/f http://a.example" + path},
		{"another host", "http://a", "", "http://c/f/x?y#z", "!http://c/f/x?y http://a/f/x?y http://a" + path},
		{"another port", "http://a:1", "", "http://a:2/f", "!http://a:2/f http://a:1/f http://a:1" + path},
		{"another scheme", "http://a", "", "https://a/f", "!https://a/f http://a/f http://a" + path},
		{"no credentials from a packument", "http://a", "", "http://me:secret@c/f", "!http://c/f http://a/f http://a" + path},
		{"a scheme of the master's", "https://a", "", "//c/f", "!https://c/f https://a/f https://a" + path},
		{"no way down from https", "https://a", "", "http://c/f", "https://a/f https://a" + path},
		{"a mirror that left the URLs as they were", "http://a/npm", "", "https://c/registry" + path, "http://a/npm" + path + " http://a/registry" + path + " !https://c/registry" + path},
		{"masters of files", "http://f/npm", "http://a/npm", path, "http://f/npm" + path},
		{"masters of files, and a path below the other", "http://f/npm", "http://a/npm", "/x/y", "http://f/npm" + path + " http://f/npm/x/y"},
		{"masters of files, and a URL of the other", "http://f/m", "http://a/npm", "http://a/files/y", "http://f/m" + path + " http://f/files/y"},
		{"masters of files, and another host", "http://f", "http://a", "http://c/y", "http://f" + path + " http://f/y !http://c/y"},
		{"no URL", "http://a", "", "http://%zz", "http://a" + path},
	} {
		cfg := Config{}
		for i, text := range strings.Fields(tt.masters) {
			cfg.Masters = append(cfg.Masters, health.Upstream{URL: parse(text), Primary: i == 0})
		}
		for _, text := range strings.Fields(tt.others) {
			cfg.Others = append(cfg.Others, parse(text))
		}
		cfg.Files = tt.others != ""
		p := New(cfg)
		var got []string
		for _, place := range p.places(p.Masters()[len(p.Masters())-1], &Request{Route: kind.Route{Class: kind.File, Path: path}, At: tt.at}) {
			mark := ""
			if place.elsewhere {
				mark = "!"
			}
			got = append(got, mark+place.url)
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
		p.Close()
	}
}
