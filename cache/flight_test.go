package cache

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/purge"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
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
		text := string(storetest.Payload(1, 100_000))
		gate := make(chan struct{})
		origin := &counting{fetch: func(_ int, _ context.Context, _ FetchRequest, fill *Fill) error {
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
			return fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
				<-gate
				return respond(fill, 200, text, "Cache-Control: max-age=60")
			})
		}
		keys := []store.Key{{Site: "s", ID: "a"}, {Site: "s", ID: "b"}, {Site: "t", ID: "a"}}
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
func begun(t *testing.T, c *Cache, q *Query) (Answer, io.Reader) {
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
		origin := &counting{fetch: func(_ int, _ context.Context, _ FetchRequest, fill *Fill) error {
			if err := fill.Respond(200, policytest.Fields("Cache-Control: max-age=60"), -1); err != nil {
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
				origin := &counting{fetch: func(_ int, ctx context.Context, _ FetchRequest, fill *Fill) error {
					<-headers
					if err := fill.Respond(200, policytest.Fields("Cache-Control: max-age=60"), 10); err != nil {
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
		text := string(storetest.Payload(1, 400_000))
		origin := always(200, text, "Cache-Control: max-age=60")
		_, slow := begun(t, c, query("a", origin)) // and reads nothing
		settle(c)
		expect(t, c, query("a", origin), Hit, text)
		// The reader finds its bytes, also after a purge.
		if err := c.Purge(purge.Purge{Scope: purge.All}); err != nil {
			t.Fatal(err)
		}
		if g := get(c, query("a", failing())); g.err == nil {
			t.Errorf("purged, and yet %v", g)
		}
		expectRead(t, slow, text)
		expectEnd(t, slow, io.EOF)
	})
}

func TestFlightsEndWithTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := Open(Config{Disk: 8 << 20, Dir: t.TempDir(), MaxObject: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		origin := fetch(func(ctx context.Context, _ FetchRequest, fill *Fill) error {
			defer close(ended)
			fill.Respond(200, policytest.Fields("Cache-Control: max-age=60"), -1)
			io.WriteString(fill, "some")
			<-ctx.Done()
			return context.Cause(ctx)
		})
		_, r := begun(t, c, query("a", origin))
		expectRead(t, r, "some")
		waits := make(chan got)
		go func() {
			waits <- get(c, query("b", fetch(func(ctx context.Context, _ FetchRequest, _ *Fill) error {
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
