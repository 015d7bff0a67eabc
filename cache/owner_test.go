package cache

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/purge"
)

// owned asks for "a" on behalf of an owner, "" for nobody.
func owned(owner string, from Fetcher) *Query {
	q := query("a", from)
	q.Request.Owner = owner
	return q
}

func TestOwnersShareNothing(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		expect(t, c, owned("", always(200, "shared", "Cache-Control: max-age=3600", `Etag: "1"`)), Missed, "shared")
		settle(c)
		gate := make(chan struct{})
		owners := []string{"alice", "bob"}
		origins := make(map[string]*counting)
		for _, owner := range owners {
			origins[owner] = &counting{fetch: func(_ int, _ context.Context, ask FetchRequest, fill *Fill) error {
				<-gate
				if ask.ETag != "" {
					t.Errorf("%s's fetch validates what somebody else has", owner)
				}
				return respond(fill, 200, owner, "Cache-Control: private, max-age=60")
			}}
		}
		wait := clients(c, 6, func(i int) *Query { return owned(owners[i%2], origins[owners[i%2]]) })
		synctest.Wait()
		close(gate)
		for i, g := range wait() {
			if g.body != owners[i%2] {
				t.Errorf("%s got %v", owners[i%2], g)
			}
		}
		settle(c)
		for _, owner := range owners {
			expect(t, c, owned(owner, failing()), Hit, owner)
			origins[owner].want(t, 1)
		}
		expect(t, c, owned("", failing()), Hit, "shared")
		expect(t, c, owned("carol", always(200, "carol")), Missed, "carol")
	})
}

func TestOwnerMayHaveWhatAnybodyMayHaveWhenTheOriginFails(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		down := func(owner string) *Query {
			q := owned(owner, failing())
			q.Rule.Keep.Default = time.Hour
			return q
		}
		expect(t, c, owned("", always(200, "shared", "Cache-Control: max-age=60")), Missed, "shared")
		settle(c)
		expect(t, c, down("alice"), HitError, "shared")
		expect(t, c, owned("alice", always(200, "hers", "Cache-Control: max-age=60")), Missed, "hers")
		settle(c)
		pass(2 * time.Minute)
		expect(t, c, down("alice"), HitError, "hers")
		expect(t, c, down("bob"), HitError, "shared")
		expect(t, c, down(""), HitError, "shared")
	})
}

func TestWhatIsAnOwnersIsNeverForAnybody(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		expect(t, c, owned("alice", always(200, "hers", "Cache-Control: public, max-age=60")), Missed, "hers")
		settle(c)
		for _, owner := range []string{"", "bob"} {
			q := owned(owner, failing())
			q.Rule.Keep.Default = time.Hour
			if g := get(c, q); g.err == nil {
				t.Errorf("%q got %v", owner, g)
			}
		}
	})
}

func TestWhoIsRefusedHasNothingToFallBackOn(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		both(t, func(t *testing.T, c *Cache) {
			ask := func(from Fetcher) *Query {
				q := owned("alice", from)
				q.Rule.Keep.Default, q.Request.Validate = time.Hour, true
				return q
			}
			expect(t, c, ask(always(200, "hers", "Cache-Control: max-age=60")), Missed, "hers")
			settle(c)
			expect(t, c, ask(failing()), HitError, "hers")
			pass(2 * cooling)
			if g := get(c, ask(always(status, "no"))); g.status != status {
				t.Errorf("got %v", g)
			}
			settle(c)
			if g := get(c, ask(failing())); g.err == nil {
				t.Errorf("after a %d the origin fails, and the answer is %v", status, g)
			}
		})
	}
}

func TestPurgeCoversEveryOwner(t *testing.T) {
	for name, purge := range map[string]purge.Purge{
		"key":   {Scope: purge.Key, Site: "s", Name: "a"},
		"group": {Scope: purge.Group, Site: "s", Name: "g"},
		"site":  {Scope: purge.Site, Site: "s"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, c *Cache) {
				expect(t, c, owned("alice", always(200, "old", "Cache-Control: max-age=60")), Missed, "old")
				settle(c)
				if err := c.Purge(purge); err != nil {
					t.Fatal(err)
				}
				expect(t, c, owned("alice", always(200, "new", "Cache-Control: max-age=60")), Missed, "new")
			})
		})
	}
}

func TestValidateAsksBeforeEveryUse(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		origin := &counting{fetch: func(n int, _ context.Context, ask FetchRequest, fill *Fill) error {
			if n > 1 && ask.ETag == `"1"` {
				return fill.Respond(http.StatusNotModified, policytest.Fields("Cache-Control: max-age=3600"), 0)
			}
			return respond(fill, 200, "x", "Cache-Control: max-age=3600", `Etag: "1"`)
		}}
		q := owned("alice", origin)
		q.Request.Validate, q.Rule.Grace.Default = true, time.Hour
		expect(t, c, q, Missed, "x")
		settle(c)
		for range 2 {
			expect(t, c, q, Revalidated, "x")
			settle(c)
		}
		origin.want(t, 3)
	})
}
