package daemon

import (
	"strings"
	"testing"

	"pkgedge/edge/edgetest/chromium"
)

const browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

func TestABrowserAtTheRootIsToldTheLines(t *testing.T) {
	b := newBehindTwo(t, "  - { name: node, kind: dist, path: /dist/, masters: [{ url: 'http://127.0.0.1:9/secret', role: primary }] }\n"+
		"  - { name: inside, kind: npm, path: /inside/, hosts: [inside.example], masters: [{ url: 'http://127.0.0.1:9/secret', role: primary }] }\ncontact: ops@acme.example\n")
	base := b.edge.cfg.PublicURL.String()
	a := b.send("GET", "/", browser)
	b.want(a, 200, "Content-Type: text/html; charset=utf-8", "Vary: Accept", "Cache-Control: public, max-age=60", "X-Content-Type-Options: nosniff")
	for _, want := range []string{"registry=" + base + "/<", "npmRegistryServer: &#34;" + base + "&#34;", "NVM_NODEJS_ORG_MIRROR=" + base + "/dist<", "npm_config_disturl=" + base + "/dist<", `href="mailto:ops@acme.example"`, ">ops@acme.example<"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, never := range []string{b.servers[0].URL(), "secret", "inside", "devel", "npm.example"} {
		if strings.Contains(a.body, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if policy := a.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("policy %q", policy)
	}
	if a := b.send("HEAD", "/", browser); a.StatusCode != 200 || a.body != "" || a.Header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %d %v %q", a.StatusCode, a.Header, a.body)
	}
	// A package client asks for JSON, or for anything.
	for _, accept := range []string{"application/json", "*/*", ""} {
		a := b.send("GET", "/", "Accept: "+accept)
		b.want(a, 200, "Content-Type: application/json", "Vary: Accept", "Cache-Control: no-store")
		if a.body != "{}" {
			t.Errorf("for %q: %q", accept, a.body)
		}
	}
	// The page is for the root alone: a browser may look at a package.
	if a := b.send("GET", "/edge-sample-words", browser); !strings.Contains(a.Header.Get("Content-Type"), "json") {
		t.Errorf("a packument is %q for a browser", a.Header.Get("Content-Type"))
	}
	if a := b.send("GET", "/-/ping", browser); a.body != "{}" {
		t.Errorf("a ping is %q for a browser", a.body)
	}
	b.want(b.send("PUT", "/", browser), 405)
}

// A tree of files may have a page of its own at its root, and an edge may have no site there.
func TestTheRootOfAnOriginIsItsOwn(t *testing.T) {
	b := newBehindTwo(t, "")
	path := func(p string) *client {
		return newTestClient(t, "sites: [{ name: tree, kind: files, path: "+p+", masters: [{ url: '"+b.servers[0].URL()+"', role: primary }] }]\n", false)
	}
	own := path("/")
	if a := own.send("GET", "/", browser); strings.Contains(a.body, "cache of packages") {
		t.Error("the page of an origin is hidden")
	}
	below := path("/tree/")
	a := below.send("GET", "/", browser)
	if a.StatusCode != 200 || !strings.Contains(a.body, "/tree/</code>") || !strings.Contains(a.body, "the people from whom you have this address") {
		t.Errorf("where no site is: %d %s", a.StatusCode, a.body)
	}
	below.want(below.send("GET", "/", "Accept: */*"), 404)
	below.want(below.send("GET", "/other", browser), 404)
}

func TestTheRootInABrowser(t *testing.T) {
	t.Parallel()
	b := newBehindTwo(t, "  - { name: node, kind: dist, path: /dist/, masters: [{ url: 'http://127.0.0.1:9', role: primary }] }\ncontact: https://chat.acme.example/builds\n")
	base := b.edge.cfg.PublicURL.String()
	chrome := chromium.Start(t)
	for i, v := range views[:3] {
		tab := chrome.Open(base+"/", v)
		tab.Until("the page", `document.querySelectorAll("pre").length === 9`)
		check(t, tab, v, base)
		accessible(t, tab, v.Name)
		if i == 2 {
			savePage(t, tab, "root-"+v.Name)
		}
	}
}
