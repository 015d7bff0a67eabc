package cache

import (
	"testing"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/purge"
)

// Explain foretells Get, and leaves all as it is.
func TestExplain(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		origin := always(200, "A", "Cache-Control: max-age=60, stale-if-error=60")
		q := query("a", origin)
		want := func(when string, stored bool, verdict, onError policy.Verdict) {
			t.Helper()
			e := c.Explain(q)
			if (e.Stored != nil) != stored || e.Verdict != verdict || e.OnError != onError || e.Fetching {
				t.Errorf("%s: %+v", when, e)
			}
			if stored && (!e.InMemory && !e.OnDisk || e.Age+e.TTL != time.Minute) {
				t.Errorf("%s: %+v", when, e)
			}
		}
		want("before", false, policy.Miss, policy.Fail)
		expect(t, c, q, Missed, "A")
		settle(c)
		want("fresh", true, policy.Fresh, policy.StaleIfError)
		pass(90 * time.Second)
		want("stale", true, policy.Validate, policy.StaleIfError)
		pass(time.Minute)
		want("too old", true, policy.Validate, policy.Fail)
		if err := c.Purge(purge.Purge{Scope: purge.Site, Site: "s"}); err != nil {
			t.Fatal(err)
		}
		want("purged", false, policy.Miss, policy.Fail)
		if n := origin.calls.Load(); n != 1 {
			t.Errorf("the origin was asked %d times", n)
		}
	})
}
