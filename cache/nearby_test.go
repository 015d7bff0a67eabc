package cache

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/purge"
	"pkgedge/cache/store"
)

// A copy from a cache that is as near ends with its original, and so does one that it has
// confirmed: also under a lifetime of the operator's, which counts from the reception.
func TestACopyIsAsOldAsItsOriginal(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		rule := policy.Rule{OK: policy.Clamp{Default: time.Minute}}
		ago := 40 * time.Second
		from := &counting{fetch: func(n int, _ context.Context, ask FetchRequest, fill *Fill) error {
			fill.Received(ago)
			if n == 2 {
				return fill.Respond(http.StatusNotModified, policytest.Fields(`Etag: "e"`), 0)
			}
			return respond(fill, 200, "body", `Etag: "e"`)
		}}
		get := func(after time.Duration, calls int64, left time.Duration) {
			t.Helper()
			pass(after)
			q := query("k", from)
			q.Rule = rule
			a, err := c.Get(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			a.Close()
			from.want(t, calls)
			if got := a.TTL.Round(time.Second); got != left {
				t.Errorf("it is fresh for %v; want %v", got, left)
			}
		}
		get(0, 1, 20*time.Second)
		get(19*time.Second, 1, time.Second)
		ago = 10 * time.Second
		get(2*time.Second, 2, 50*time.Second) // confirmed, ten seconds ago
		get(49*time.Second, 2, time.Second)
	})
}

// A fill knows the newest purge that covers its response.
func TestAFillKnowsThePurge(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		var seen []time.Time
		from := fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			seen = append(seen, fill.Purged())
			return respond(fill, 200, "body", "Cache-Control: max-age=60")
		})
		var want []time.Time
		for i, p := range []purge.Purge{{}, {Scope: purge.Group, Site: "s", Name: "g"}, {Scope: purge.Group, Site: "s", Name: "other"}, {Scope: purge.Key, Site: "s", Name: "k"}} {
			pass(time.Second)
			if i > 0 {
				if err := c.Purge(p); err != nil {
					t.Fatal(err)
				}
			}
			if p.Name != "other" {
				at := time.Time{}
				if i > 0 {
					at = time.Now()
				}
				want = append(want, at)
			}
			a, err := c.Get(t.Context(), query("k", from))
			if err != nil {
				t.Fatal(err)
			}
			a.Close()
			settle(c)
		}
		if !slices.EqualFunc(seen, want, time.Time.Equal) {
			t.Errorf("purges at %v; want %v", seen, want)
		}
	})
}

// Committed is called for a response that can be found, and Peek finds it: not one that is
// not stored, nor one that a purge covers.
func TestPeek(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		found := make(map[string]bool)
		from := func(id, control string) Fetcher {
			return fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
				fill.Committed(func() {
					a, ok := c.Peek(query(id, nil))
					a.Close()
					found[id] = ok
				})
				return respond(fill, 200, "body", "Cache-Control: "+control)
			})
		}
		for id, control := range map[string]string{"kept": "max-age=60", "unkept": "no-store"} {
			a, err := c.Get(t.Context(), query(id, from(id, control)))
			if err != nil {
				t.Fatal(err)
			}
			a.Close()
		}
		settle(c)
		if len(found) != 1 || !found["kept"] {
			t.Errorf("found %v", found)
		}
		if _, ok := c.Peek(&Query{Key: store.Key{Site: "s", ID: "none"}, Request: asking("")}); ok {
			t.Error("something is found that was never there")
		}
		if err := c.Purge(purge.Purge{Scope: purge.Key, Site: "s", Name: "kept", Soft: true}); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Peek(query("kept", nil)); ok {
			t.Error("a purged response is found")
		}
	})
}
