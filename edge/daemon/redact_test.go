package daemon

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"pkgedge/edge/redact"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
)

func TestAuditsDoNotTellOfPrivatePackages(t *testing.T) {
	t.Parallel()
	public, acme := newWatched(t, "", "left"), newWatched(t, "", "@acme/words")
	c := newScoped(t, public, acme, "")
	const bulk = "/-/npm/v1/security/advisories/bulk"
	zipped := func(text string) string { return string(tarball.Gzip([]byte(text))) }
	const names = `{"left":["1.0.0"],"@acme/words":["1.0.0"],"@Acme/other":["2.0.0"]}`
	c.post(bulk, names, "Content-Type: application/json", "Npm-Scope: @acme", "Referer: install @acme/words")
	c.post(bulk, zipped(names), "Content-Type: application/json", "Content-Encoding: gzip")
	c.post("/-/npm/v1/security/audits/quick", `{"name":"@acme/app","requires":{"left":"1","@acme/words":"1"},"dependencies":{"@acme/words":{"version":"1.0.0"}}}`)
	all := public.all()
	if len(all) != 3 {
		t.Fatalf("%d requests arrived", len(all))
	}
	for i, r := range all {
		whole := fmt.Sprint(r.uri, r.body, r.header)
		if strings.Contains(strings.ToLower(whole), "acme") || !strings.Contains(r.body, "left") {
			t.Errorf("request %d tells %s", i, whole)
		}
	}
	// A body that cannot be read is not sent.
	for _, a := range []*answered{
		c.post(bulk, `{"left":["1.0.0"],`),
		c.post(bulk, "not gzip", "Content-Encoding: gzip"),
		c.post(bulk, names, "Content-Encoding: br"),
		c.post(bulk, `{"left":["`+strings.Repeat("x", redact.MaxBody)+`"]}`),
		c.post(bulk, zipped(`{"left":["`+strings.Repeat("x", redact.MaxBody)+`"]}`), "Content-Encoding: gzip"),
	} {
		c.want(a, 400)
	}
	if n := len(public.all()); n != 3 {
		t.Errorf("%d requests arrived", n)
	}
}

// Without private scopes all bodies stream.
func TestAuditsPassUntouchedWithoutPrivateScopes(t *testing.T) {
	public := newWatched(t, "", "left")
	c := newTestClient(t, fmt.Sprintf(`sites: [{ name: npm, probe: { every: 1h }, masters: [{ url: %q, role: primary }] }]`, public.url), false)
	const body = `{ "@acme/words": [`
	c.post("/-/npm/v1/security/advisories/bulk", body)
	if all := public.all(); len(all) != 1 || all[0].body != body {
		t.Errorf("arrived: %+v", all)
	}
}

func TestSearchDoesNotFindWhatIsDenied(t *testing.T) {
	public := newWatched(t, "", "left", "left-pad", "@evil/left")
	c := newTestClient(t, fmt.Sprintf(`sites: [{ name: npm, probe: { every: 1h }, deny: [left-pad, "@evil/*"], masters: [{ url: %q, role: primary }] }]`, public.url), false)
	for _, coding := range []string{"identity", "gzip", "br"} {
		a := c.send(http.MethodGet, "/-/v1/search?text=left", "Accept-Encoding: "+coding)
		c.want(a, 200, "!Content-Encoding")
		if !strings.Contains(a.body, `"left"`) || strings.Contains(a.body, "left-pad") || strings.Contains(a.body, "@evil") {
			t.Errorf("%s: %s", coding, a.body)
		}
	}
	public.Break(faults.Any, faults.HTML())
	c.want(c.send(http.MethodGet, "/-/v1/search?text=left"), 502)
}

// Masters of one private scope are told nothing of another one.
func TestPrivateScopesDoNotHearOfEachOther(t *testing.T) {
	public, acme, beta := newWatched(t, ""), newWatched(t, "", "@acme/words"), newWatched(t, "", "@beta/words")
	c := newScoped(t, public, acme, fmt.Sprintf("      \"@beta\":\n        masters: [{ url: %q, role: primary }]\n", beta.url))
	tell := []string{"Npm-Scope: @beta", "Referer: install @beta/words"}
	c.sendBody(http.MethodPut, "/@acme%2fnew", "{}", tell...)
	c.send(http.MethodGet, "/-/v1/search?text=@acme", tell...)
	const names = `{"@acme/words":["1.0.0"],"@beta/words":["1.0.0"]}`
	c.post("/-/npm/v1/security/advisories/bulk?x=@acme", names, tell...)
	c.sendBody(http.MethodPut, "/-/team/acme/devs/package", `{"package":"@acme/words"}`, tell...)
	if a := c.sendBody(http.MethodPut, "/-/team/acme/devs/package", `{"package":"@beta/words"}`, tell...); a.StatusCode != 400 {
		t.Errorf("a body of another scope: %d", a.StatusCode)
	}
	if n := len(acme.all()); n < 3 {
		t.Errorf("%d requests arrived at @acme's master", n)
	}
	for _, r := range append(acme.all(), public.all()...) {
		if whole := fmt.Sprint(r.uri, r.body, r.header); strings.Contains(whole, "beta") {
			t.Errorf("a master was told %s", whole)
		}
	}
	if len(beta.all()) > 0 {
		t.Errorf("@beta's was told %+v", beta.all())
	}
}

// A client that dawdles over the body of an audit holds up no other.
func TestSlowAuditsHoldUpNoOthers(t *testing.T) {
	public, acme := newWatched(t, "", "left"), newWatched(t, "", "@acme/words")
	c := newScoped(t, public, acme, "")
	const bulk = "/-/npm/v1/security/advisories/bulk"
	var slow []*io.PipeWriter
	var ended sync.WaitGroup
	for range 2 * 4 { // twice the slots for large bodies
		r, w := io.Pipe()
		slow = append(slow, w)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.edge.cfg.PublicURL.String()+bulk, r)
		if err != nil {
			t.Fatal(err)
		}
		ended.Go(func() {
			if resp, err := c.transport.RoundTrip(req); err == nil {
				resp.Body.Close()
			}
		})
		if _, err := io.WriteString(w, `{"left":`); err != nil {
			t.Fatal(err)
		}
	}
	c.post(bulk, `{"left":["1.0.0"]}`)
	if n := len(public.all()); n != 1 {
		t.Errorf("%d audits arrived", n)
	}
	for _, w := range slow {
		w.CloseWithError(io.ErrUnexpectedEOF)
	}
	ended.Wait()
}
