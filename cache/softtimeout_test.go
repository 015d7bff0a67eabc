package cache

import (
	"context"
	"testing"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/purge"
)

// A master that hangs delays no request for long that can have a stale answer. Its late
// response is stored.
func TestAStaleAnswerIsNotWaitedForLong(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60"))
		q.Rule.Keep.Default, q.SoftTimeout = policy.Forever, 700*time.Millisecond
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)

		gate := make(chan struct{})
		slow := &counting{fetch: func(_ int, _ context.Context, ask FetchRequest, fill *Fill) error {
			if !ask.Stale {
				t.Error("the origin was not told that there is a stale answer")
			}
			<-gate
			return respond(fill, 200, "new", "Cache-Control: max-age=60")
		}}
		q.Fetcher = slow
		for i, wait := range []time.Duration{q.SoftTimeout, 0, 0} { // the first has waited for all
			asked := time.Now()
			expect(t, c, q, HitError, "old")
			if took := time.Since(asked); took != wait {
				t.Errorf("request %d took %v, want %v", i, took, wait)
			}
		}
		slow.want(t, 1)
		close(gate)
		settle(c)
		expect(t, c, q, Hit, "new")
	})
}

func TestWhoeverHasNoStaleAnswerWaits(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		late := &counting{fetch: func(_ int, _ context.Context, ask FetchRequest, fill *Fill) error {
			if ask.Stale {
				t.Error("the origin was told of a stale answer that there is not")
			}
			pass(time.Second)
			return respond(fill, 200, "x", "Cache-Control: max-age=60")
		}}
		q := query("a", late)
		q.Rule.Keep.Default, q.SoftTimeout = policy.Forever, 700*time.Millisecond
		expect(t, c, q, Missed, "x")
		settle(c)
		pass(2 * time.Minute)
		q.Rule.Keep.Default = 0
		expect(t, c, q, Missed, "x")
	})
}

func TestAQuickValidationIsWaitedFor(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60"))
		q.Rule.Keep.Default, q.SoftTimeout = policy.Forever, 700*time.Millisecond
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)
		q.Fetcher = &counting{fetch: func(_ int, _ context.Context, _ FetchRequest, fill *Fill) error {
			pass(600 * time.Millisecond)
			return respond(fill, 200, "new", "Cache-Control: max-age=60")
		}}
		expect(t, c, q, Missed, "new")
	})
}

// A request that waits for a validation may lose its stale answer to a purge.
func TestWhoeverLosesItsStaleAnswerWaits(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60"))
		q.Rule.Keep.Default, q.SoftTimeout = policy.Forever, 700*time.Millisecond
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)
		for name, validation := range map[string]func() error{
			"that hangs": func() error { pass(time.Hour); return errOrigin },
			"that fails": func() error { pass(500 * time.Millisecond); return errOrigin },
		} {
			q := *q
			q.Fetcher = &counting{fetch: func(_ int, _ context.Context, ask FetchRequest, fill *Fill) error {
				if ask.Stale {
					return validation()
				}
				pass(2 * time.Second)
				return respond(fill, 200, "new", "Cache-Control: max-age=60")
			}}
			done := make(chan got, 1)
			go func() { done <- get(c, &q) }()
			pass(100 * time.Millisecond)
			if err := c.Purge(purge.Purge{Scope: purge.All}); err != nil {
				t.Fatal(err)
			}
			if g := <-done; g.outcome != Missed || g.body != "new" {
				t.Errorf("a validation %s: %v", name, g)
			}
			settle(c)
			pass(2 * time.Minute)
		}
	})
}
