package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/flight"
	"pkgedge/cache/policy"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

const digits = "0123456789"

// ranged is an origin of digits that knows ranges.
func ranged(tag string) *counting {
	return &counting{fetch: func(_ int, _ context.Context, ask FetchRequest, fill *Fill) error {
		lines := []string{"Cache-Control: max-age=60", "Etag: " + tag}
		if ask.Range == "" || ask.IfRange != "" && ask.IfRange != tag {
			return respond(fill, 200, digits, lines...)
		}
		r, ok := policy.ParseRange([]string{ask.Range})
		if !ok {
			return errOrigin
		}
		start, length := r[0].In(int64(len(digits)))
		return respond(fill, 206, digits[start:start+length],
			append(lines, fmt.Sprintf("Content-Range: bytes %d-%d/%d", start, start+length-1, len(digits)))...)
	}}
}

// part asks for a range.
func part(text string, from Fetcher) *Query {
	q := query("a", from)
	q.Request.Header = http.Header{"Range": {"bytes=" + text}}
	q.Request.Ranges, _ = policy.ParseRange(q.Request.Header["Range"])
	return q
}

func TestPartialIsStoredAndServesForWhatItHas(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		origin := ranged(`"1"`)
		expect(t, c, part("2-5", origin), Missed, "2345")
		settle(c)
		expect(t, c, part("2-5", origin), Hit, "2345") // the piece; its range is the edge's to cut
		expect(t, c, part("3-4", origin), Hit, "2345")
		if g := get(c, part("-7", failing())); !errors.Is(g.err, errOrigin) {
			t.Errorf("a range that is not there: %v", g)
		}
		origin.want(t, 1)
	})
}

func TestPartialIsNeverTheWhole(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		expect(t, c, part("0-4", ranged(`"1"`)), Missed, "01234")
		settle(c)
		pass(2 * time.Minute)
		down := query("a", failing())
		down.Rule.Keep.Default = time.Hour
		if g := get(c, down); g.err == nil {
			t.Errorf("RFC 9111 §3.3 a part answers for the whole: %v", g)
		}
		pass(2 * cooling)
		down = part("1-2", failing())
		down.Rule.Keep.Default = time.Hour
		expect(t, c, down, HitError, "01234")
		only := query("a", failing())
		only.Request = asking("only-if-cached, max-stale")
		if g := get(c, only); !errors.Is(g.err, ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", g)
		}
	})
}

func TestPartialIsCompleted(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		expect(t, c, part("0-4", ranged(`"1"`)), Missed, "01234")
		settle(c)
		origin := ranged(`"1"`)
		asked := FetchRequest{}
		expect(t, c, query("a", fetch(func(ctx context.Context, ask FetchRequest, fill *Fill) error {
			asked = ask
			return origin.Fetch(ctx, ask, fill)
		})), Missed, digits)
		if asked.Range != "bytes=5-" || asked.IfRange != `"1"` {
			t.Errorf("RFC 9111 §3.4 asked for %q if %q", asked.Range, asked.IfRange)
		}
		settle(c)
		a, err := c.Get(t.Context(), query("a", failing()))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if text, _ := body(a); a.Outcome != Hit || text != digits || a.Span != nil || a.Status != 200 {
			t.Errorf("%v %q, piece %v, status %d", a.Outcome, text, a.Span, a.Status)
		}
	})
}

func TestPartialOfAnotherRepresentationIsNotJoined(t *testing.T) {
	for rule, tag := range map[string]string{"changed": `"2"`, "weak": `W/"1"`} {
		t.Run(rule, func(t *testing.T) {
			both(t, func(t *testing.T, c *Cache) {
				first := `"1"`
				if rule == "weak" {
					first = tag
				}
				expect(t, c, part("0-4", ranged(first)), Missed, "01234")
				settle(c)
				expect(t, c, query("a", ranged(tag)), Missed, digits) // the whole, not a sum of parts
				settle(c)
				// The same, by ranges: a part that continues another's is no reason to join them.
				k := part("0-4", ranged(first))
				k.Key.ID = "b"
				expect(t, c, k, Missed, "01234")
				settle(c)
				next := part("5-9", ranged(tag))
				next.Key.ID = "b"
				expect(t, c, next, Missed, "56789")
			})
		})
	}
}

func TestPartialUnasked(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(206, "01", "Content-Range: bytes 0-1/10", "Cache-Control: max-age=60"))
		if g := get(c, q); !errors.Is(g.err, errUnaskedPart) {
			t.Errorf("got %v, want errUnaskedPart", g)
		}
	})
}

// A 304 to a request without a validator says nothing about the stored response.
func TestPartialIsNotRenewedUnasked(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		expect(t, c, part("0-4", ranged(`"1"`)), Missed, "01234")
		settle(c)
		q := query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			return fill.Respond(304, policytest.Fields(), 0)
		}))
		if g := get(c, q); !errors.Is(g.err, ErrUnasked) {
			t.Errorf("got %v, want ErrUnasked", g)
		}
	})
}

func TestNotModifiedWithoutValidators(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "x", "Cache-Control: max-age=60"))
		expect(t, c, q, Missed, "x")
		settle(c)
		pass(2 * time.Minute)
		q.Fetcher = fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			return fill.Respond(304, policytest.Fields(), 0)
		})
		if g := get(c, q); !errors.Is(g.err, ErrUnasked) {
			t.Errorf("got %v, want ErrUnasked", g)
		}
	})
}

// headOf asks for the fields alone.
func headOf(from Fetcher) *Query {
	q := query("a", from)
	q.Request.Method = http.MethodHead
	return q
}

func TestHead(t *testing.T) {
	head := func(lines ...string) *counting {
		return &counting{fetch: func(_ int, _ context.Context, ask FetchRequest, fill *Fill) error {
			if !ask.Head || ask.ETag != "" {
				return errOrigin
			}
			return fill.Respond(200, policytest.Fields(lines...), 10)
		}}
	}
	stale := func(t *testing.T, c *Cache) {
		expect(t, c, query("a", always(200, digits, "Cache-Control: max-age=60", `Etag: "1"`, "Content-Length: 10")), Missed, digits)
		settle(c)
		pass(2 * time.Minute)
	}
	t.Run("RFC 9111 §4 answered from a stored GET", func(t *testing.T) {
		both(t, func(t *testing.T, c *Cache) {
			expect(t, c, query("a", always(200, digits, "Cache-Control: max-age=60")), Missed, digits)
			settle(c)
			expect(t, c, headOf(failing()), Hit, digits)
		})
	})
	t.Run("RFC 9111 §4.3.5 freshens a stored GET", func(t *testing.T) {
		both(t, func(t *testing.T, c *Cache) {
			stale(t, c)
			if g := get(c, headOf(head("Cache-Control: max-age=60", `Etag: "1"`, "Content-Length: 10"))); g.err != nil || g.body != "" {
				t.Errorf("got %v", g)
			}
			settle(c)
			expect(t, c, query("a", failing()), Hit, digits)
		})
	})
	t.Run("RFC 9111 §4.3.5 another representation makes it stale", func(t *testing.T) {
		both(t, func(t *testing.T, c *Cache) {
			stale(t, c)
			get(c, headOf(head("Cache-Control: max-age=60", `Etag: "2"`)))
			settle(c)
			expect(t, c, query("a", always(200, "new", "Cache-Control: max-age=60")), Missed, "new")
		})
	})
	t.Run("is not stored, and not shared with a GET", func(t *testing.T) {
		both(t, func(t *testing.T, c *Cache) {
			get(c, headOf(head("Cache-Control: max-age=60")))
			settle(c)
			storetest.Expect(t, c.store, store.Key{Site: "s", ID: "a"}, 0, nil)
			expect(t, c, query("a", always(200, "x", "Cache-Control: max-age=60")), Missed, "x")
		})
	})
}

func TestInterimIsPassedOn(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		gate := make(chan struct{})
		origin := fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			fill.Interim(103, policytest.Fields("Link: </a>"))
			<-gate
			for range 2 * flight.MaxInterim {
				fill.Interim(103, policytest.Fields("Link: </b>"))
			}
			return respond(fill, 200, "x", "Cache-Control: max-age=60")
		})
		told := make([][]string, 2)
		wait := clients(c, 2, func(i int) *Query {
			q := query("a", origin)
			q.Interim = func(_ int, h http.Header) { told[i] = append(told[i], h.Get("Link")) }
			return q
		})
		synctest.Wait()
		if len(told[0]) != 1 || len(told[1]) != 1 || told[1][0] != "</a>" {
			t.Errorf("before the response: %q", told)
		}
		close(gate)
		for _, g := range wait() {
			if g.body != "x" {
				t.Errorf("got %v", g)
			}
		}
		if len(told[0]) != flight.MaxInterim {
			t.Errorf("%d interim responses, at most %d are passed on", len(told[0]), flight.MaxInterim)
		}
	})
}
