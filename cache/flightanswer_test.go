package cache

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/purge"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

func TestFlightRefreshesOnceInTheBackground(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60", `Etag: "1"`))
		q.Rule.Grace.Default = time.Hour
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)
		gate := make(chan struct{})
		origin := &counting{fetch: func(_ int, _ context.Context, ask FetchRequest, fill *Fill) error {
			<-gate
			if ask.ETag != `"1"` {
				t.Errorf("asked with ETag %q", ask.ETag)
			}
			return respond(fill, 200, "new", "Cache-Control: max-age=60")
		}}
		q.Fetcher = origin
		for range 10 {
			expect(t, c, q, HitStale, "old")
		}
		synctest.Wait()
		origin.want(t, 1)
		close(gate)
		settle(c)
		expect(t, c, q, Hit, "new")
		origin.want(t, 1)
	})
}

// Between a look-up that missed and the beginning of a flight, another flight
// may have ended.
func TestFlightLooksUpOnceMore(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		origin := always(200, "x", "Cache-Control: max-age=60")
		q := query("a", origin)
		expect(t, c, q, Missed, "x")
		settle(c)
		a, err := c.fetch(t.Context(), q, q.Key, false, policy.Miss, 0) // as if its look-up had been earlier
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if text, err := body(a); a.Outcome != Hit || a.Forward != "" || text != "x" {
			t.Errorf("got %v %q %v", a.Outcome, text, err)
		}
		origin.want(t, 1)
	})
}

// A response that turns out not to be for everybody is the first client's, and
// the others fetch for themselves.
func TestFlightThatIsNotToBeShared(t *testing.T) {
	for _, lines := range [][]string{
		{"Cache-Control: private, max-age=60"},
		{"Cache-Control: no-store"},
		{"Cache-Control: max-age=60", "Vary: *"},
		{"X-Says: nothing"},
		{"Cache-Control: max-age=60", "Cdn-Cache-Control: private"},
	} {
		t.Run(strings.Join(lines, " "), func(t *testing.T) {
			both(t, func(t *testing.T, c *Cache) {
				gate := make(chan struct{})
				wait := clients(c, 5, func(i int) *Query {
					own := string(rune('a' + i))
					return query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
						<-gate
						return respond(fill, 200, own, lines...)
					}))
				})
				synctest.Wait()
				close(gate)
				for i, g := range wait() {
					if g.body != string(rune('a'+i)) || g.outcome != Missed {
						t.Errorf("client %d got %v", i, g)
					}
				}
				settle(c)
				storetest.Expect(t, c.store, store.Key{Site: "s", ID: "a"}, 0, nil)
			})
		})
	}
}

func TestFlightOfAnAuthorizedRequest(t *testing.T) {
	for _, control := range []string{"max-age=60", "public, max-age=60"} {
		both(t, func(t *testing.T, c *Cache) {
			gate := make(chan struct{})
			wait := clients(c, 4, func(i int) *Query {
				own := string(rune('a' + i))
				q := query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
					<-gate
					return respond(fill, 200, own, "Cache-Control: "+control)
				}))
				q.Request.Authorized = true
				return q
			})
			synctest.Wait()
			close(gate)
			for i, g := range wait() {
				if g.body != string(rune('a'+i)) {
					t.Errorf("§3.5 client %d got %v", i, g)
				}
			}
			settle(c)
			stored := c.store.Get(store.Key{Site: "s", ID: "a"})
			defer stored.Release()
			if (stored != nil) != strings.HasPrefix(control, "public") {
				t.Errorf("§3.5 %q stored: %v", control, stored != nil)
			}
		})
	}
}

func TestFlightVary(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		gate := make(chan struct{})
		origin := &counting{fetch: func(_ int, _ context.Context, ask FetchRequest, fill *Fill) error {
			<-gate
			return respond(fill, 200, ask.Header.Get("Accept"), "Cache-Control: max-age=60", "Vary: Accept")
		}}
		of := func(accept string) *Query {
			q := query("a", origin)
			q.Request.Header = http.Header{"Accept": {accept}}
			return q
		}
		accepts := []string{"a", "b", "a", "b", "c"}
		wait := clients(c, len(accepts), func(i int) *Query { return of(accepts[i]) })
		synctest.Wait()
		close(gate)
		for i, g := range wait() {
			if g.body != accepts[i] {
				t.Errorf("§4.1 who accepts %q got %v", accepts[i], g)
			}
		}
		settle(c)
		for _, accept := range accepts { // one may have taken another's place
			if g := get(c, of(accept)); g.body != accept {
				t.Errorf("§4.1 who accepts %q got %v", accept, g)
			}
			settle(c)
		}
		asked := origin.calls.Load()
		for _, accept := range accepts {
			expect(t, c, of(accept), Hit, accept) // now each has a place beside the other
		}
		origin.want(t, asked)
		if err := c.Purge(purge.Purge{Scope: purge.Key, Site: "s", Name: "a"}); err != nil {
			t.Fatal(err)
		}
		for _, accept := range []string{"a", "b", "c"} {
			expect(t, c, of(accept), Missed, accept) // a purge of the key covers every variant
			settle(c)
		}
	})
}

func TestFlightNotModified(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		text := string(storetest.Payload(1, 300_000)) // more than the memory tier takes beside a disk
		origin := &counting{fetch: func(n int, _ context.Context, ask FetchRequest, fill *Fill) error {
			if n == 1 {
				return respond(fill, 200, text, "Cache-Control: max-age=60", `Etag: "1"`, "Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT", "X-A: 1")
			}
			if ask.ETag != `"1"` || ask.LastModified != "Fri, 31 Dec 1999 00:00:00 GMT" {
				t.Errorf("asked with %q %q", ask.ETag, ask.LastModified)
			}
			return fill.Respond(304, policytest.Fields("Cache-Control: max-age=120", "X-A: 2"), 0)
		}}
		expect(t, c, query("a", origin), Missed, text)
		settle(c)
		pass(2 * time.Minute)
		wait := clients(c, 10, func(int) *Query { return query("a", origin) })
		outcomes := make(map[Outcome]int)
		for _, g := range wait() {
			outcomes[g.outcome]++
			if g.body != text || g.status != 200 {
				t.Errorf("got %v", g)
			}
		}
		if outcomes[Revalidated] != 1 || outcomes[Revalidated]+outcomes[Collapsed]+outcomes[Hit] != 10 {
			t.Errorf("outcomes %v", outcomes)
		}
		settle(c)
		origin.want(t, 2)
		pass(119 * time.Second)
		a, err := c.Get(t.Context(), query("a", origin))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if a.Outcome != Hit || a.Header.Get("X-A") != "2" || a.Age != 119*time.Second {
			t.Errorf("%v, X-A %q, age %v", a.Outcome, a.Header.Get("X-A"), a.Age)
		}
	})
}

func TestFlightNotModifiedUnasked(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error { return fill.Respond(304, nil, 0) }))
		if g := get(c, q); !errors.Is(g.err, ErrUnasked) {
			t.Errorf("got %v, want ErrUnasked", g)
		}
	})
}

func TestFlightNegativeLife(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		origin := always(404, "nothing here")
		q := query("a", origin)
		q.Rule.Missing = policy.AtMost(10 * time.Second)
		expect(t, c, q, Missed, "nothing here")
		settle(c)
		pass(9 * time.Second)
		expect(t, c, q, Hit, "nothing here")
		origin.want(t, 1)
		pass(time.Second)
		expect(t, c, q, Missed, "nothing here")
		origin.want(t, 2)
	})
}

func TestFlightUnavailable(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		origin := always(200, "x", "Cache-Control: max-age=60")
		q := query("a", origin)
		q.Request = asking("only-if-cached")
		if g := get(c, q); !errors.Is(g.err, ErrUnavailable) {
			t.Errorf("§5.2.1.7 got %v, want ErrUnavailable", g)
		}
		origin.want(t, 0)
	})
}
