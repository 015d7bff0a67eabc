package daemon

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"pkgedge/edge/config"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// watched is a sample master that needs a credential, "" for none, and remembers
// everything it was told.
type watched struct {
	*faults.Master
	url    string
	needs  string
	header http.Header // of every answer

	mu   sync.Mutex
	told []told
}

// told is a request as a master saw it.
type told struct {
	method, uri, authorization, body string
	header                           http.Header
}

// newWatched starts a master with packages of one version, 1.0.0, each.
func newWatched(t *testing.T, needs string, packages ...string) *watched {
	t.Helper()
	store := sample.NewStore()
	for _, name := range packages {
		if err := store.AddPackage(name, sample.Version{Number: "1.0.0", Description: "from the master that needs " + needs}); err != nil {
			t.Fatal(err)
		}
	}
	w := &watched{Master: faults.NewMaster(store), needs: needs}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *watched) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.mu.Lock()
	w.told = append(w.told, told{r.Method, r.RequestURI, r.Header.Get("Authorization"), string(body), r.Header.Clone()})
	w.mu.Unlock()
	if w.needs != "" && r.Header.Get("Authorization") != w.needs {
		http.Error(rw, `{"error":"unauthorized"}`, http.StatusUnauthorized)
		return
	}
	r.Header.Del("Authorization") // the sample master has tokens of its own
	for name, values := range w.header {
		rw.Header()[name] = values
	}
	w.Master.ServeHTTP(rw, r)
}

// all are the requests that the master had so far, probes left out.
func (w *watched) all() (all []told) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.told {
		if r.uri != "/-/ping" {
			all = append(all, r)
		}
	}
	return all
}

func (w *watched) count(uri string) (n int) {
	for _, r := range w.all() {
		if r.uri == uri {
			n++
		}
	}
	return n
}

// newScoped is an edge before a public master and one that has @acme to itself.
// keys are more of the scope's.
func newScoped(t *testing.T, public, acme *watched, keys string) *client {
	t.Helper()
	return newTestClient(t, fmt.Sprintf(`
sites:
  - name: npm
    probe: { every: 1h }
    masters: [{ url: %q, role: primary }]
    scopes:
      "@acme":
        masters: [{ url: %q, role: primary }]
%s`, public.url, acme.url, keys), true)
}

// post sends a body.
func (c *client) post(path, body string, fields ...string) *answered {
	c.t.Helper()
	return c.sendBody(http.MethodPost, path, body, fields...)
}

func (c *client) sendBody(method, path, body string, fields ...string) *answered {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.edge.cfg.PublicURL.String()+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return &answered{Response: resp, body: string(got)}
}

func TestPrivateScopeComesFromItsOwnMasters(t *testing.T) {
	public := newWatched(t, "", "left", "@acme/words", "@acmeco/x")
	acme := newWatched(t, "Bearer s3cret", "@acme/words")
	c := newScoped(t, public, acme, "        credentials: s3cret\n")
	for _, path := range []string{
		"/@acme/words", "/@acme%2fwords", "/%40ACME/words", "/@acme/words/latest", "/-/package/@acme%2fwords/dist-tags",
		"/@acme/words/-/words-1.0.0.tgz", "/@acme/words?write=true", "/-/v1/search?text=%40acme%2Fwo", "/-/v1/search?text=scope:acme",
		"/-/npm/v1/attestations/@acme%2fwords@1.0.0", "/-/package/@acme%2fwords/access", "/-/org/acme/package", "/-/whatever?of=@acme/words",
		"/@acme/secret", "/@acme/secret/-/secret-1.0.0.tgz",
		"/npm/@acme%2fsecret", "/npm/@acme/secret/-/secret-1.0.0.tgz", "/left?write=true&of=@acme",
	} {
		c.send(http.MethodGet, path, "Authorization: Bearer theirs")
	}
	c.sendBody(http.MethodPut, "/@acme%2fnew", "{}", "Authorization: Bearer theirs")
	c.sendBody(http.MethodDelete, "/@acme%2fnew/-rev/1", "", "Authorization: Bearer theirs")
	for _, r := range public.all() {
		t.Errorf("the public master was told %s %s", r.method, r.uri)
	}
	if a := c.send(http.MethodGet, "/@acme/words"); !strings.Contains(a.body, "needs Bearer s3cret") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := c.send(http.MethodGet, "/@acme/words/-/words-1.0.0.tgz"); a.StatusCode != 200 || a.Header.Get("Repr-Digest") == "" {
		t.Errorf("the tarball: %d, Repr-Digest %q", a.StatusCode, a.Header.Get("Repr-Digest"))
	}
	if a := c.send(http.MethodGet, "/@acme/secret"); a.StatusCode != 404 {
		t.Errorf("what is not there: %d", a.StatusCode)
	}
	seen := len(acme.all())
	for path, want := range map[string]int{"/left": 200, "/@acmeco/x": 200, "/-/v1/search?text=left": 200} {
		if a := c.send(http.MethodGet, path); a.StatusCode != want {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	if n := len(acme.all()); n != seen {
		t.Errorf("the scope's master was told of other packages: %+v", acme.all()[seen:])
	}
}

func TestCredentialsStayWithTheirMasters(t *testing.T) {
	public, acme := newWatched(t, "", "left"), newWatched(t, "Bearer s3cret", "@acme/words")
	c := newScoped(t, public, acme, "        credentials: s3cret\n")
	c.want(c.send(http.MethodGet, "/left", "Authorization: Bearer theirs"), 200, "Cache-Control: *")
	c.want(c.send(http.MethodGet, "/@acme/words", "Authorization: Bearer theirs"), 200)
	for _, r := range public.all() {
		if r.authorization != "" {
			t.Errorf("the public master was told %q with %s", r.authorization, r.uri)
		}
	}
	for _, r := range acme.all() {
		if r.authorization != "Bearer s3cret" {
			t.Errorf("the scope's master was told %q with %s", r.authorization, r.uri)
		}
	}
	// Nor with requests that pass and need none: npm has one token for all of the edge.
	c.post("/-/npm/v1/security/advisories/bulk", `{"left":["1.0.0"]}`, "Authorization: Bearer theirs", "Cookie: a=b")
	c.send(http.MethodGet, "/-/v1/search?text=left", "Authorization: Bearer theirs")
	for _, r := range public.all() {
		if r.authorization != "" || r.header.Get("Cookie") != "" {
			t.Errorf("the public master was told %q with %s", r.authorization, r.uri)
		}
	}
	// A write is its client's, and never the edge's.
	c.sendBody(http.MethodPut, "/@acme%2fnew", "{}")
	c.sendBody(http.MethodPut, "/@acme%2fnew", "{}", "Authorization: Bearer theirs")
	var with []string
	for _, r := range acme.all() {
		if r.method == http.MethodPut {
			with = append(with, r.authorization)
		}
	}
	if got := strings.Join(with, ","); got != ",Bearer theirs" {
		t.Errorf("writes came with %q", got)
	}
}

// aboutAccounts are the requests of npm whoami, profile, token and logout.
var aboutAccounts = [][2]string{
	{http.MethodGet, "/-/whoami"}, {http.MethodGet, "/-/npm/v1/user"}, {http.MethodPost, "/-/npm/v1/user"}, {http.MethodGet, "/-/npm/v1/tokens"},
	{http.MethodPost, "/-/npm/v1/tokens"}, {http.MethodDelete, "/-/npm/v1/tokens/token/7"}, {http.MethodDelete, "/-/user/token/7"},
}

// The scope that answers logins is told the token of the site, and no other master is.
func TestAScopeAnswersLogins(t *testing.T) {
	public, acme := newWatched(t, ""), newWatched(t, "")
	c := newScoped(t, public, acme, "        login: true\n")
	for _, r := range append(aboutAccounts, [2]string{http.MethodPost, "/-/v1/login"}, [2]string{http.MethodPut, "/-/user/org.couchdb.user:@me"}) {
		c.sendBody(r[0], r[1], "{}", "Authorization: Bearer acmes")
		if all := acme.all(); len(all) == 0 || all[len(all)-1].uri != r[1] || all[len(all)-1].authorization != "Bearer acmes" {
			t.Errorf("%s %s: the scope's master was told %q", r[0], r[1], all)
		}
	}
	if told := public.all(); len(told) != 0 {
		t.Errorf("the public master was told %q", told)
	}
}

// Where no scope answers logins, a token may be one of a scope's. It goes nowhere, and
// the client hears why.
func TestATokenOfAScopeIsNotForOthers(t *testing.T) {
	public, acme := newWatched(t, ""), newWatched(t, "")
	c := newScoped(t, public, acme, "")
	for _, r := range aboutAccounts {
		if a := c.sendBody(r[0], r[1], "{}", "Authorization: Bearer acmes"); a.StatusCode != 403 || !strings.Contains(a.body, "login: true") {
			t.Errorf("%s %s: %d %s", r[0], r[1], a.StatusCode, a.body)
		}
	}
	if told := public.all(); len(told) != 0 {
		t.Errorf("the public master was told %q", told)
	}
	c.post("/-/v1/login", "{}", "Authorization: Bearer old")
	c.send(http.MethodGet, "/-/whoami")
	if told := public.all(); len(told) != 2 || told[0].authorization+told[1].authorization != "" {
		t.Errorf("the public master was told %q; a login and a question without a token are for it", told)
	}
}

// Packages that were stored before the scope was private came from strangers.
func TestPrivateScopeForgetsWhatThePublicOneHad(t *testing.T) {
	public, acme := newWatched(t, "", "@acme/words"), newWatched(t, "Bearer s3cret", "@acme/words")
	c := newScoped(t, public, acme, "        credentials: s3cret\n")
	use := func(scopes []config.Scope) {
		t.Helper()
		old := c.edge.serving()
		cfg := *old.cfg
		cfg.Sites = []config.Site{old.cfg.Sites[0]}
		cfg.Sites[0].Scopes = scopes
		next, err := c.edge.build(&cfg, old)
		if err != nil {
			t.Fatal(err)
		}
		c.edge.use(next)
		old.closeSites(next)
	}
	scopes := c.edge.serving().cfg.Sites[0].Scopes
	use(nil)
	c.want(c.send(http.MethodGet, "/@acme/words"), 200)
	use(scopes)
	if a := c.send(http.MethodGet, "/@acme/words"); !strings.Contains(a.body, "needs Bearer s3cret") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	// And not in an outage either.
	for _, s := range []string{"/@acme/words/-/words-1.0.0.tgz", "/@acme/other"} {
		acme.Break(faults.Any, faults.Status(503))
		if a := c.send(http.MethodGet, s); a.StatusCode != 503 {
			t.Errorf("%s in an outage of its masters: %d %s", s, a.StatusCode, a.body)
		}
	}
}

func TestARequestOfTwoPrivateScopesIsRefused(t *testing.T) {
	public, acme := newWatched(t, ""), newWatched(t, "")
	c := newScoped(t, public, acme, fmt.Sprintf("      \"@other\":\n        masters: [{ url: %q, role: primary }]\n", public.url))
	c.want(c.send(http.MethodGet, "/-/v1/search?text=@acme+@other"), 400)
	if n := len(public.all()) + len(acme.all()); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// Responses that the edge read with its own credential are not there without it.
func TestWhatACredentialFetchedGoesWithIt(t *testing.T) {
	public, acme := newWatched(t, ""), newWatched(t, "Bearer s3cret", "@acme/words")
	c := newScoped(t, public, acme, "        credentials: s3cret\n")
	paths := []string{"/@acme/words", "/@acme/words/-/words-1.0.0.tgz"}
	for _, path := range paths {
		c.want(c.read(path), 200)
	}
	for _, credentials := range []string{"", "Bearer other"} {
		old := c.edge.serving()
		cfg := *old.cfg
		cfg.Sites = []config.Site{old.cfg.Sites[0]}
		cfg.Sites[0].Scopes = []config.Scope{cfg.Sites[0].Scopes[0]}
		cfg.Sites[0].Scopes[0].Credentials = credentials
		next, err := c.edge.build(&cfg, old)
		if err != nil {
			t.Fatal(err)
		}
		c.edge.use(next)
		old.closeSites(next)
		for _, path := range paths {
			if a := c.read(path); a.StatusCode == 200 {
				t.Errorf("with the credentials %q %s is answered %d", credentials, path, a.StatusCode)
			}
		}
	}
}

// A minimum age is against strangers' releases.
func TestPrivateScopesHaveNoMinimumAge(t *testing.T) {
	public, acme := newWatched(t, ""), newWatched(t, "")
	now := time.Now()
	for m, name := range map[*watched]string{public: "left", acme: "@acme/words"} {
		if err := m.Store().AddPackage(name, sample.Version{Number: "1.0.0", Published: now.AddDate(-1, 0, 0)}, sample.Version{Number: "2.0.0", Published: now}); err != nil {
			t.Fatal(err)
		}
	}
	c := newScoped(t, public, acme, "    minimum_age: 24h\n")
	for path, want := range map[string]int{
		"/left/-/left-1.0.0.tgz": 200, "/left/-/left-2.0.0.tgz": 451, "/left/2.0.0": 451,
		"/@acme/words/-/words-2.0.0.tgz": 200, "/@acme/words/2.0.0": 200,
	} {
		for range 2 { // fetched, and from the store
			if a := c.read(path); a.StatusCode != want {
				t.Errorf("%s: %d, want %d", path, a.StatusCode, want)
			}
		}
	}
}
