package daemon

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

const (
	aPackument = "/@s/words"
	aTarball   = "/@s/words/-/words-1.0.0.tgz"
	hers       = "Authorization: Bearer alice"
	his        = "Authorization: Bearer bob"
)

// newAuthorized is an edge before one master that says its answers are for
// everybody, which a wrong edge would believe.
func newAuthorized(t *testing.T, keys string) (*client, *watched) {
	t.Helper()
	m := newWatched(t, "", "@s/words")
	m.header = http.Header{"Cache-Control": {"public, max-age=3600"}}
	return newTestClient(t, fmt.Sprintf(`sites: [{ name: npm, probe: { every: 1h }, masters: [{ url: %q, role: primary }], %s }]`, m.url, keys), true), m
}

// read is a request of which nothing is left to do once it is answered: the last
// byte of a miss is with its client before the response is in the store.
func (c *client) read(path string, fields ...string) *answered {
	c.t.Helper()
	a := c.send(http.MethodGet, path, fields...)
	c.edge.settle(c.t)
	return a
}

func outcomeOf(a *answered) string {
	_, word, _ := strings.Cut(a.Header.Get("Cache-Status"), "detail=")
	return word
}

// asked is how often the master was asked for a path, and with which
// credentials.
func (w *watched) asked(uri string) string {
	var with []string
	for _, r := range w.all() {
		if plain, err := url.PathUnescape(r.uri); err == nil && plain == uri {
			with = append(with, strings.TrimPrefix(r.authorization, "Bearer "))
		}
	}
	return strings.Join(with, " ")
}

func TestReadsWithACredentialAreValidatedBeforeEachUse(t *testing.T) {
	c, m := newAuthorized(t, "")
	for _, path := range []string{aPackument, aTarball} {
		for i, want := range []string{"miss", "revalidated", "revalidated"} {
			a := c.read(path, hers)
			c.want(a, 200, "Cache-Control: private, no-cache")
			if got := outcomeOf(a); got != want {
				t.Errorf("%s, request %d: %s", path, i, got)
			}
		}
		if a := c.read(path, his); outcomeOf(a) != "miss" {
			t.Errorf("%s: his first is %s", path, outcomeOf(a))
		}
		if a := c.read(path); outcomeOf(a) != "miss" {
			t.Errorf("%s: nobody's first is %s", path, outcomeOf(a))
		}
	}
	if got := m.asked(aTarball); got != "alice alice alice bob " {
		t.Errorf("the tarball was asked for by %q", got)
	}
	if a := c.read("/@s/words/latest", hers); a.StatusCode != 200 || outcomeOf(a) != "revalidated" {
		t.Errorf("a version: %d %s", a.StatusCode, outcomeOf(a))
	}
}

func TestReadsWithACredentialAreCachedForItWhereTheSiteSaysSo(t *testing.T) {
	c, m := newAuthorized(t, "authorized: cache")
	for _, path := range []string{aPackument, aTarball} {
		for _, who := range []string{hers, his} {
			for i, want := range []string{"miss", "hit", "hit"} {
				a := c.read(path, who)
				c.want(a, 200, "Cache-Control: private, no-cache")
				if got := outcomeOf(a); got != want {
					t.Errorf("%s, %s, request %d: %s", path, who, i, got)
				}
			}
		}
	}
	for _, path := range []string{aPackument, aTarball} {
		if got := m.asked(path); got != "alice bob" {
			t.Errorf("%s was asked for by %q", path, got)
		}
	}
}

func TestReadsWithoutUseForACredentialShareOneCopy(t *testing.T) {
	c, m := newAuthorized(t, "authorized: ignore")
	for _, who := range []string{hers, his, "Accept: */*"} {
		c.want(c.read(aTarball, who), 200)
	}
	if got := m.asked(aTarball) + m.asked(aPackument); got != "" || m.count(aTarball) != 1 {
		t.Errorf("asked %d times, with %q", m.count(aTarball), got)
	}
}

func TestOutageAnswersACredentialFromItsOwnCopy(t *testing.T) {
	c, m := newAuthorized(t, "")
	c.want(c.read(aPackument, hers), 200)
	m.Break(faults.Any, faults.Status(503))
	a := c.send(http.MethodGet, aPackument, hers)
	if c.want(a, 200); outcomeOf(a) != "stale-error" {
		t.Errorf("in an outage: %s", outcomeOf(a))
	}
	c.want(c.send(http.MethodGet, aPackument, his), 503)
	c.want(c.send(http.MethodGet, aPackument), 503)
}

// Masters that have too many requests are no outage: a token that was revoked
// meanwhile reads nothing unconfirmed.
func TestACrowdDoesNotStandInForAMaster(t *testing.T) {
	t.Parallel()
	const many = 40
	c, m := newAuthorized(t, "")
	var paths []string
	for i := range many {
		name := fmt.Sprintf("@s/p%d", i)
		if err := m.Store().AddPackage(name, sample.Version{Number: "1.0.0"}); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, "/"+name)
		c.want(c.read("/"+name, hers), 200)
	}
	before := len(m.all())
	m.Break(faults.Any, faults.Status(401))
	var all sync.WaitGroup
	for _, path := range paths {
		all.Go(func() {
			if a := c.send(http.MethodGet, path, hers); a.StatusCode == 200 {
				t.Errorf("%s: %d %s", path, a.StatusCode, outcomeOf(a))
			}
		})
	}
	all.Wait()
	if n := len(m.all()) - before; n != many {
		t.Errorf("the master was asked %d times", n)
	}
}
