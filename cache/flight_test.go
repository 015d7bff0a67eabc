package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// clients are many gets at once.
func clients(c *Cache, n int, q func(i int) *Query) (wait func() []got) {
	all := make([]got, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { all[i] = get(c, q(i)) })
	}
	return func() []got { wg.Wait(); return all }
}

func TestFlightIsOneFetchForAll(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		text := string(payload(1, 300_000))
		gate := make(chan struct{})
		origin := &counting{fetch: func(_ int, _ context.Context, _ Ask, fill *Fill) error {
			<-gate
			return respond(fill, 200, text, "Cache-Control: max-age=60")
		}}
		wait := clients(c, 100, func(int) *Query { return query("a", origin) })
		synctest.Wait()
		close(gate)
		outcomes := make(map[Outcome]int)
		for _, g := range wait() {
			if g.err != nil || g.body != text || g.status != 200 {
				t.Errorf("got %v", g)
			}
			outcomes[g.outcome]++
		}
		if outcomes[Missed] != 1 || outcomes[Collapsed] != 99 {
			t.Errorf("outcomes %v, want one miss and 99 collapsed", outcomes)
		}
		origin.want(t, 1)
		settle(c)
		expect(t, c, query("a", origin), Hit, text)
		if n := c.Usage().Flights; n != 0 {
			t.Errorf("%d flights are left", n)
		}
	})
}

func TestFlightKeysAreApart(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		gate := make(chan struct{})
		origin := func(text string) Fetcher {
			return fetch(func(_ context.Context, _ Ask, fill *Fill) error {
				<-gate
				return respond(fill, 200, text, "Cache-Control: max-age=60")
			})
		}
		keys := []Key{{Site: "s", ID: "a"}, {Site: "s", ID: "b"}, {Site: "t", ID: "a"}}
		wait := clients(c, 3, func(i int) *Query {
			return &Query{Key: keys[i], Request: asking(""), Fetcher: origin(keys[i].Site + keys[i].ID)}
		})
		synctest.Wait()
		close(gate)
		for i, g := range wait() {
			if g.body != keys[i].Site+keys[i].ID || g.outcome != Missed {
				t.Errorf("%v got %v", keys[i], g)
			}
		}
	})
}

// begun is a client that has an answer and a reader of its body.
func begun(t *testing.T, c *Cache, q *Query) (*Answer, io.Reader) {
	t.Helper()
	a, err := c.Get(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	r, err := a.Body(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return a, r
}

// expectRead reads as many bytes as are wanted, and compares.
func expectRead(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Errorf("read %d bytes and %v, not the %d wanted", n, err, len(want))
	}
}

// expectEnd wants nothing but the error that follows the last byte.
func expectEnd(t *testing.T, r io.Reader, want error) {
	t.Helper()
	if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.Is(err, want) {
		t.Errorf("%d more bytes and %v, want %v", n, err, want)
	}
}

func TestFlightFollowersReadBeforeItsEnd(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		gate := make(chan struct{})
		origin := &counting{fetch: func(_ int, _ context.Context, _ Ask, fill *Fill) error {
			if err := fill.Respond(200, fields("Cache-Control: max-age=60"), -1); err != nil {
				return err
			}
			io.WriteString(fill, "first ")
			<-gate
			_, err := io.WriteString(fill, "last")
			return err
		}}
		first, one := begun(t, c, query("a", origin))
		second, two := begun(t, c, query("a", origin))
		expectRead(t, one, "first ")
		expectRead(t, two, "first ")
		if first.Outcome != Missed || second.Outcome != Collapsed || !second.Live() {
			t.Errorf("outcomes %v and %v", first.Outcome, second.Outcome)
		}
		close(gate)
		expectRead(t, two, "last")
		expectEnd(t, two, io.EOF)
		expectRead(t, one, "last")
		expectEnd(t, one, io.EOF)
		origin.want(t, 1)
		settle(c)
		expect(t, c, query("a", origin), Hit, "first last") // while two still hold the flight
	})
}

func TestFlightWhoeverLeavesHarmsNobody(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		before bool // the headers
		all    bool // leave
	}{
		{"the first, before the headers", true, false},
		{"the first, amid the body", false, false},
		{"all, before the headers: the response is kept all the same", true, true},
		{"all, amid the body: the response is kept all the same", false, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			both(t, func(t *testing.T, c *Cache) {
				headers, rest := make(chan struct{}), make(chan struct{})
				origin := &counting{fetch: func(_ int, ctx context.Context, _ Ask, fill *Fill) error {
					<-headers
					if err := fill.Respond(200, fields("Cache-Control: max-age=60"), 10); err != nil {
						return err
					}
					io.WriteString(fill, "first")
					<-rest
					_, err := io.WriteString(fill, " last")
					return errors.Join(err, context.Cause(ctx))
				}}
				ctx, leave := context.WithCancelCause(t.Context())
				gone := errors.New("client is gone")
				left := make(chan error)
				go func() {
					a, err := c.Get(ctx, query("a", origin))
					if err == nil {
						defer a.Close()
						r, _ := a.Body(ctx, 0)
						_, err = io.ReadAll(r)
					}
					left <- err
				}()
				synctest.Wait()
				wait := func() []got { return nil }
				if !tt.all {
					wait = clients(c, 3, func(int) *Query { return query("a", origin) })
				}
				if !tt.before {
					close(headers)
				}
				synctest.Wait()
				leave(gone)
				if err := <-left; !errors.Is(err, gone) {
					t.Errorf("who left got %v", err)
				}
				if tt.before {
					close(headers)
				}
				synctest.Wait()
				close(rest)
				for _, g := range wait() {
					if g.err != nil || g.body != "first last" {
						t.Errorf("who stayed got %v", g)
					}
				}
				settle(c)
				expect(t, c, query("a", origin), Hit, "first last")
				origin.want(t, 1)
			})
		})
	}
}

func TestFlightSlowReaderDelaysNobody(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		text := string(payload(1, 400_000))
		origin := always(200, text, "Cache-Control: max-age=60")
		_, slow := begun(t, c, query("a", origin)) // and reads nothing
		settle(c)
		expect(t, c, query("a", origin), Hit, text)
		// Its bytes are there when it comes for them, whatever became of the rest.
		if err := c.Purge(Purge{Scope: ScopeAll}); err != nil {
			t.Fatal(err)
		}
		if g := get(c, query("a", failing())); g.err == nil {
			t.Errorf("purged, and yet %v", g)
		}
		expectRead(t, slow, text)
		expectEnd(t, slow, io.EOF)
	})
}

func TestFlightErrorIsForAll(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		gate := make(chan struct{})
		origin := &counting{fetch: func(int, context.Context, Ask, *Fill) error { <-gate; return errOrigin }}
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
		q.Rule.IfError = time.Hour
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)
		gate := make(chan struct{})
		origin := &counting{fetch: func(int, context.Context, Ask, *Fill) error { <-gate; return errOrigin }}
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
		q.Rule.IfError = time.Hour
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
			q.Rule.IfError = time.Hour
			expect(t, c, q, Missed, "old")
			settle(c)
			pass(2 * time.Minute)
			q.Fetcher = always(status, "trouble")
			text := "old"
			if want == Missed {
				text = "trouble"
			}
			expect(t, c, q, want, text)
			q.Rule.IfError = 0
			pass(2 * cooling)
			if g := get(c, q); g.status != status || g.body != "trouble" {
				t.Errorf("without a window got %v, want the %d", g, status)
			}
		})
	}
}

func TestFlightRefreshesOnceInTheBackground(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60", `Etag: "1"`))
		q.Rule.WhileRevalidate = time.Hour
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)
		gate := make(chan struct{})
		origin := &counting{fetch: func(_ int, _ context.Context, ask Ask, fill *Fill) error {
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

func TestFlightRefreshThatFailsIsNotRepeatedAtTheRateOfRequests(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60"))
		q.Rule.WhileRevalidate = time.Hour
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
		q.Rule.IfError = time.Hour
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
		q.Fetcher = fetch(func(ctx context.Context, _ Ask, fill *Fill) error {
			if err := fill.Respond(200, fields("Cache-Control: private"), -1); err != nil {
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

// Between a look-up that missed and the beginning of a flight, another flight
// may have ended.
func TestFlightLooksUpOnceMore(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		origin := always(200, "x", "Cache-Control: max-age=60")
		q := query("a", origin)
		expect(t, c, q, Missed, "x")
		settle(c)
		a, err := c.fetch(t.Context(), q, q.Key, false, Miss) // as if its look-up had been earlier
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

func TestFlightPanicIsAnError(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		var told error
		c.notify = func(_ string, err error) { told = err }
		for _, respond := range []bool{false, true} {
			q := query("a", fetch(func(_ context.Context, _ Ask, fill *Fill) error {
				if respond {
					fill.Respond(200, fields("Cache-Control: max-age=60"), -1)
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
		q := query("a", fetch(func(context.Context, Ask, *Fill) error { return nil }))
		if g := get(c, q); g.err == nil {
			t.Errorf("got %v", g)
		}
	})
}

func TestFlightFailingAfterTheHeadersIsNoEnd(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		for _, size := range []int64{-1, 100} {
			gate := make(chan struct{})
			origin := fetch(func(_ context.Context, _ Ask, fill *Fill) error {
				if err := fill.Respond(200, fields("Cache-Control: max-age=60"), size); err != nil {
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
			expectStored(t, c.store, Key{Site: "s", ID: "a"}, 0, nil)
		}
	})
}

func TestFlightFailingLeavesWhatIsStored(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "old", "Cache-Control: max-age=60"))
		q.Rule.IfError = time.Hour
		expect(t, c, q, Missed, "old")
		settle(c)
		pass(2 * time.Minute)
		q.Fetcher = fetch(func(_ context.Context, _ Ask, fill *Fill) error {
			fill.Respond(200, fields("Cache-Control: max-age=60"), 100)
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
			g := get(c, query("a", fetch(func(_ context.Context, _ Ask, fill *Fill) error {
				if err := fill.Respond(200, fields("Cache-Control: max-age=60"), declared); err != nil {
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
			expectStored(t, c.store, Key{Site: "s", ID: "a"}, 0, nil)
		}
	})
}

func TestFlightPrivateIsNobodyElses(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		expect(t, c, query("a", always(200, "shared", "Cache-Control: max-age=3600")), Missed, "shared")
		settle(c)
		gate := make(chan struct{})
		origin := func(text string) *counting {
			return &counting{fetch: func(_ int, _ context.Context, ask Ask, fill *Fill) error {
				<-gate
				if ask.ETag != "" {
					t.Error("it read the store")
				}
				return respond(fill, 200, text, "Cache-Control: public, max-age=60")
			}}
		}
		private := func(from Fetcher) *Query {
			q := query("a", from)
			q.Private = true
			return q
		}
		texts := []string{"alice", "bob"}
		wait := clients(c, 2, func(i int) *Query { return private(origin(texts[i])) })
		synctest.Wait()
		close(gate)
		for i, g := range wait() {
			if g.outcome != Passed || g.body != texts[i] {
				t.Errorf("%s got %v", texts[i], g)
			}
		}
		settle(c)
		expect(t, c, query("a", failing()), Hit, "shared")
		down := private(failing())
		down.Rule.IfError = time.Hour
		expect(t, c, down, HitError, "shared")
	})
}

func TestFlightPrivateLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "mine", "Cache-Control: public, max-age=60"))
		q.Private = true
		expect(t, c, q, Passed, "mine")
		settle(c)
		expectStored(t, c.store, q.Key, 0, nil)
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
					return query("a", fetch(func(_ context.Context, _ Ask, fill *Fill) error {
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
				expectStored(t, c.store, Key{Site: "s", ID: "a"}, 0, nil)
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
				q := query("a", fetch(func(_ context.Context, _ Ask, fill *Fill) error {
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
			stored := c.store.Get(Key{Site: "s", ID: "a"})
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
		origin := &counting{fetch: func(_ int, _ context.Context, ask Ask, fill *Fill) error {
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
		if err := c.Purge(Purge{Scope: ScopeKey, Site: "s", Name: "a"}); err != nil {
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
		origin := &counting{fetch: func(n int, _ context.Context, ask Ask, fill *Fill) error {
			if n == 1 {
				return respond(fill, 200, "x", "Cache-Control: max-age=60", `Etag: "1"`, "Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT", "X-A: 1")
			}
			if ask.ETag != `"1"` || ask.LastModified != "Sat, 01 Jan 2000 00:00:00 GMT" {
				t.Errorf("asked with %q %q", ask.ETag, ask.LastModified)
			}
			return fill.Respond(304, fields("Cache-Control: max-age=120", "X-A: 2"), 0)
		}}
		expect(t, c, query("a", origin), Missed, "x")
		settle(c)
		pass(2 * time.Minute)
		wait := clients(c, 10, func(int) *Query { return query("a", origin) })
		outcomes := make(map[Outcome]int)
		for _, g := range wait() {
			outcomes[g.outcome]++
			if g.body != "x" || g.status != 200 {
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
		q := query("a", fetch(func(_ context.Context, _ Ask, fill *Fill) error { return fill.Respond(304, nil, 0) }))
		if g := get(c, q); !errors.Is(g.err, ErrUnasked) {
			t.Errorf("got %v, want ErrUnasked", g)
		}
	})
}

func TestFlightNegativeLife(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		origin := always(404, "nothing here")
		q := query("a", origin)
		q.Rule.Missing = 10 * time.Second
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

func TestFlightsEndWithTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := Open(Config{Disk: 8 << 20, Dir: t.TempDir(), MaxObject: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		origin := fetch(func(ctx context.Context, _ Ask, fill *Fill) error {
			defer close(ended)
			fill.Respond(200, fields("Cache-Control: max-age=60"), -1)
			io.WriteString(fill, "some")
			<-ctx.Done()
			return context.Cause(ctx)
		})
		_, r := begun(t, c, query("a", origin))
		expectRead(t, r, "some")
		waits := make(chan got)
		go func() {
			waits <- get(c, query("b", fetch(func(ctx context.Context, _ Ask, _ *Fill) error {
				<-ctx.Done()
				return context.Cause(ctx)
			})))
		}()
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		select {
		case <-ended:
		default:
			t.Error("closed before its fills had ended")
		}
		expectEnd(t, r, ErrClosed)
		if g := <-waits; !errors.Is(g.err, ErrClosed) {
			t.Errorf("who waited got %v, want ErrClosed", g)
		}
		if g := get(c, query("c", origin)); !errors.Is(g.err, ErrClosed) {
			t.Errorf("who came after got %v, want ErrClosed", g)
		}
	})
}
