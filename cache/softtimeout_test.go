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

// patient stores a response, lets it become stale, and returns a query that waits half a
// second for a validation of it within an hour.
func patient(t *testing.T, c *Cache, fetcher Fetcher) *Query {
	t.Helper()
	q := query("a", always(200, "old", "Cache-Control: max-age=60"))
	q.Rule.Grace.Default, q.Rule.Patience = time.Hour, 500*time.Millisecond
	expect(t, c, q, Missed, "old")
	settle(c)
	pass(2 * time.Minute)
	q.Fetcher = fetcher
	return q
}

// The first request past the lifetime gets the new response, and all that come with it, by
// one fetch.
func TestAPatientRequestGetsTheNewResponse(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		origin := &counting{fetch: func(_ int, _ context.Context, _ FetchRequest, fill *Fill) error {
			pass(400 * time.Millisecond)
			return respond(fill, 200, "new", "Cache-Control: max-age=60")
		}}
		q := patient(t, c, origin)
		wait := clients(c, 10, func(int) *Query { return q })
		for _, g := range wait() {
			if g.body != "new" || g.outcome != Missed && g.outcome != Collapsed {
				t.Errorf("got %v", g)
			}
		}
		origin.want(t, 1)
	})
}

// When the origin is slow, the stale response answers, and the fetch goes on.
func TestPatienceEnds(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		gate := make(chan struct{})
		slow := &counting{fetch: func(_ int, _ context.Context, ask FetchRequest, fill *Fill) error {
			if !ask.Stale {
				t.Error("the origin was not told that there is a stale answer")
			}
			<-gate
			return respond(fill, 200, "new", "Cache-Control: max-age=60")
		}}
		q := patient(t, c, slow)
		for i, wait := range []time.Duration{q.Rule.Patience, 0, 0} { // the first has waited for all
			asked := time.Now()
			a, err := c.Get(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if a.Outcome != HitStale || a.Err != ErrSoftTimeout || a.Forward != "stale" {
				t.Errorf("%v, %v, forward %q", a.Outcome, a.Err, a.Forward)
			}
			a.Close()
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

// A validation that fails leaves the stale response to answer, without a Keep too, and the
// origin is left alone for a moment.
func TestAPatientRequestOutlivesAFailure(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		for name, fetch := range map[string]func(*Fill) error{
			"an error":        func(*Fill) error { return errOrigin },
			"a refusing 503":  func(fill *Fill) error { return respond(fill, 503, "busy") },
			"a document less": func(fill *Fill) error { return fill.Respond(304, nil, 0) },
		} {
			origin := &counting{fetch: func(_ int, _ context.Context, _ FetchRequest, fill *Fill) error { return fetch(fill) }}
			q := patient(t, c, origin)
			for range 3 {
				if g := get(c, q); g.outcome != HitError || g.body != "old" {
					t.Errorf("%s: %v", name, g)
				}
			}
			origin.want(t, 1)
			settle(c)
			pass(2 * time.Hour)
			if g := get(c, q); g.outcome == HitError {
				t.Errorf("%s, beyond the window: %v", name, g)
			}
			settle(c)
			if err := c.Purge(purge.Purge{Scope: purge.All}); err != nil {
				t.Fatal(err)
			}
			pass(2 * time.Second)
		}
	})
}

// A purge while a patient request waits: it gets nothing of before.
func TestAPatientRequestLosesItsStaleAnswer(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := patient(t, c, &counting{fetch: func(n int, _ context.Context, _ FetchRequest, fill *Fill) error {
			if n == 1 {
				pass(time.Hour)
				return errOrigin
			}
			pass(2 * time.Second)
			return respond(fill, 200, "new", "Cache-Control: max-age=60")
		}})
		done := make(chan got, 1)
		go func() { done <- get(c, q) }()
		pass(100 * time.Millisecond)
		if err := c.Purge(purge.Purge{Scope: purge.All}); err != nil {
			t.Fatal(err)
		}
		if g := <-done; g.outcome != Missed || g.body != "new" {
			t.Errorf("got %v", g)
		}
		settle(c)
	})
}
