package cache

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

func TestFlightErrorIsForAll(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		gate := make(chan struct{})
		origin := &counting{fetch: func(int, context.Context, FetchRequest, *Fill) error { <-gate; return errOrigin }}
		wait := clients(c, 20, func(int) *Query { return query("a", origin) })
		synctest.Wait()
		close(gate)
		for _, g := range wait() {
			if !errors.Is(g.err, errOrigin) {
				t.Errorf("got %v, want the origin's error", g)
			}
		}
		origin.want(t, 1)
		// Nothing is stored: the next request may try at once.
		expect(t, c, query("a", always(200, "up", "Cache-Control: max-age=60")), Missed, "up")
	})
}

func TestFlightErrorIsAnsweredByAStaleResponse(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60"))
		q.Rule.Keep.Default = time.Hour
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)
		gate := make(chan struct{})
		origin := &counting{fetch: func(int, context.Context, FetchRequest, *Fill) error { <-gate; return errOrigin }}
		down := *q
		down.Fetcher = origin
		wait := clients(c, 20, func(int) *Query { return &down })
		synctest.Wait()
		close(gate)
		for _, g := range wait() {
			if g.err != nil || g.body != "old" || g.outcome != HitError {
				t.Errorf("got %v, want the old response", g)
			}
		}
		origin.want(t, 1)
		pass(2 * time.Hour) // beyond the window
		if g := get(c, &down); !errors.Is(g.err, errOrigin) {
			t.Errorf("got %v, want the origin's error", g)
		}
	})
}

func TestFlightErrorIsToldWithTheStaleResponse(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60"))
		q.Rule.Keep.Default = time.Hour
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)
		q.Fetcher = failing()
		a, err := c.Get(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if !errors.Is(a.Err, errOrigin) || a.TTL != -time.Minute || a.Age != 2*time.Minute {
			t.Errorf("error %v, TTL %v, age %v", a.Err, a.TTL, a.Age)
		}
	})
}

func TestFlightServerErrorIsWorseThanAStaleResponse(t *testing.T) {
	for status, want := range map[int]Outcome{500: HitError, 502: HitError, 503: HitError, 504: HitError, 404: Missed, 501: Missed} {
		both(t, func(t *testing.T, c *Cache) {
			q := query("a", always(200, "old", "Cache-Control: max-age=60"))
			q.Rule.Keep.Default = time.Hour
			expect(t, c, q, Missed, "old")
			settle(c)
			pass(2 * time.Minute)
			q.Fetcher = always(status, "trouble")
			text := "old"
			if want == Missed {
				text = "trouble"
			}
			expect(t, c, q, want, text)
			q.Rule.Keep.Default = 0
			pass(2 * cooling)
			if g := get(c, q); g.status != status || g.body != "trouble" {
				t.Errorf("without a window got %v, want the %d", g, status)
			}
		})
	}
}

func TestFlightRefreshThatFailsIsNotRepeatedAtTheRateOfRequests(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60"))
		q.Rule.Grace.Default = time.Hour
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)
		origin := failing()
		q.Fetcher = origin
		for range 10 {
			expect(t, c, q, HitStale, "old")
			settle(c)
		}
		origin.want(t, 1)
		pass(2 * cooling)
		expect(t, c, q, HitStale, "old")
		settle(c)
		origin.want(t, 2)
	})
}

func TestFlightValidationThatFailsIsNotRepeatedAtTheRateOfRequests(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60"))
		q.Rule.Keep.Default = time.Hour
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)
		origin := failing()
		q.Fetcher = origin
		for range 10 {
			expect(t, c, q, HitError, "old")
		}
		origin.want(t, 1)
		pass(2 * cooling)
		expect(t, c, q, HitError, "old")
		origin.want(t, 2)
		pass(2 * cooling)
		q.Fetcher = always(200, "new", "Cache-Control: max-age=60")
		expect(t, c, q, Missed, "new")
		settle(c)
		if n := c.Usage().Flights; n != 0 {
			t.Errorf("%d flights are left", n)
		}
	})
}

// A fill that everybody deserted says nothing about the origin.
func TestFlightDesertedDoesNotCool(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60"))
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)
		q.Fetcher = fetch(func(ctx context.Context, _ FetchRequest, fill *Fill) error {
			if err := fill.Respond(200, policytest.Fields("Cache-Control: private"), -1); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		})
		a, err := c.Get(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
		synctest.Wait()
		q.Fetcher = always(200, "mine", "Cache-Control: private")
		expect(t, c, q, Missed, "mine")
	})
}

func TestFlightPanicIsAnError(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		var told error
		c.notify = func(_ string, err error) { told = err }
		for _, respond := range []bool{false, true} {
			q := query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
				if respond {
					fill.Respond(200, policytest.Fields("Cache-Control: max-age=60"), -1)
					io.WriteString(fill, "some")
				}
				panic("out of cheese")
			}))
			if g := get(c, q); g.err == nil || !strings.Contains(g.err.Error(), "out of cheese") {
				t.Errorf("got %v", g)
			}
			settle(c)
			if told == nil {
				t.Error("nobody was told")
			}
			told = nil
		}
		expect(t, c, query("a", always(200, "x", "Cache-Control: max-age=60")), Missed, "x")
	})
}

func TestFlightWithoutAResponseIsAnError(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", fetch(func(context.Context, FetchRequest, *Fill) error { return nil }))
		if g := get(c, q); g.err == nil {
			t.Errorf("got %v", g)
		}
	})
}

func TestFlightFailingAfterTheHeadersIsNoEnd(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		for _, size := range []int64{-1, 100} {
			gate := make(chan struct{})
			origin := fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
				if err := fill.Respond(200, policytest.Fields("Cache-Control: max-age=60"), size); err != nil {
					return err
				}
				io.WriteString(fill, "some")
				<-gate
				return errOrigin
			})
			_, one := begun(t, c, query("a", origin))
			_, two := begun(t, c, query("a", origin))
			expectRead(t, one, "some")
			close(gate)
			expectEnd(t, one, errOrigin)
			expectRead(t, two, "some")
			expectEnd(t, two, errOrigin)
			settle(c)
			storetest.Expect(t, c.store, store.Key{Site: "s", ID: "a"}, 0, nil)
		}
	})
}

func TestFlightFailingLeavesWhatIsStored(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60"))
		q.Rule.Keep.Default = time.Hour
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)
		q.Fetcher = fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			fill.Respond(200, policytest.Fields("Cache-Control: max-age=60"), 100)
			io.WriteString(fill, "ne")
			return errOrigin
		})
		get(c, q)
		settle(c)
		q.Fetcher = failing()
		expect(t, c, q, HitError, "old")
	})
}

func TestFlightOfAnotherLengthThanDeclared(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		for sent, declared := range map[string]int64{"short": 6, "long": 3, "x": 0} {
			g := get(c, query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
				if err := fill.Respond(200, policytest.Fields("Cache-Control: max-age=60"), declared); err != nil {
					return err
				}
				_, err := io.WriteString(fill, sent)
				return err
			})))
			if declared > int64(len(sent)) && !errors.Is(g.err, errShort) {
				t.Errorf("%q as %d bytes: got %v, want errShort", sent, declared, g)
			}
			if len(g.body) > int(declared) {
				t.Errorf("%q as %d bytes: got %v", sent, declared, g)
			}
			settle(c)
			storetest.Expect(t, c.store, store.Key{Site: "s", ID: "a"}, 0, nil)
		}
	})
}
