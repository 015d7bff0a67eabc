package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// file is an origin of files that are checked against lists.
type file struct {
	fetch
	lists []*Query
}

func (f file) Needs() []*Query {
	needs := make([]*Query, len(f.lists))
	for i, l := range f.lists {
		own := *l
		needs[i] = &own
	}
	return needs
}

// listing is an origin of documents whose part "list" is the number of their fetch.
func listing(takes time.Duration) *counting {
	return &counting{fetch: func(n int, _ context.Context, ask FetchRequest, fill *Fill) error {
		pass(takes)
		return hold(fill, map[string]string{"full": "everything", "list": fmt.Sprint("list ", n)})
	}}
}

func listQuery(id string, from Fetcher) *Query {
	q := query(id, from)
	q.Variant = "list"
	return q
}

// checked answers with the list that the file is checked against, or with why there
// is none.
func checked(renew bool) fetch {
	return func(ctx context.Context, _ FetchRequest, fill *Fill) error {
		doc, err := fill.Need(ctx, renew)
		if err != nil {
			doc = fmt.Append(nil, "unchecked: ", err)
		}
		return respond(fill, 200, string(doc), "Cache-Control: max-age=60")
	}
}

func TestFillsShareTheFetchOfWhatTheyNeed(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		lists := listing(time.Second)
		list := listQuery("list", lists)
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				expect(t, c, query(fmt.Sprint("file", i), file{checked(false), []*Query{list}}), Missed, "list 1")
			})
		}
		all.Wait()
		lists.want(t, 1)
		settle(c)
		expect(t, c, query("another", file{checked(false), []*Query{list}}), Missed, "list 1")
		settle(c)
		expect(t, c, query("another", file{checked(false), []*Query{list}}), Hit, "list 1")
		lists.want(t, 1)
		expect(t, c, query("in doubt", file{checked(true), []*Query{list}}), Missed, "list 2")
		lists.want(t, 2)
		settle(c)
		expect(t, c, query("newer", file{checked(false), []*Query{list}}), Missed, "list 2")
		lists.want(t, 2)
	})
}

// A document that is renewed is not answered for by the stored one, however late it
// comes.
func TestRenewedNeedIsWaitedFor(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		list := listQuery("list", listing(10*time.Second))
		list.SoftTimeout = time.Second
		list.Rule.Keep.Default = time.Hour
		for i, want := range []string{"list 1", "list 2"} {
			expect(t, c, query(want, file{checked(i > 0), []*Query{list}}), Missed, want)
			settle(c)
		}
	})
}

// The fetch of a digest list may fail: the Fetcher judges that.
func TestFillOutlivesTheFailureOfItsNeed(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		down := listQuery("down", failing())
		missing := listQuery("missing", always(404, "no such list"))
		other := listQuery("other", listing(0))
		for _, tt := range []struct {
			name string
			from Fetcher
			want string
		}{
			{"down", file{checked(false), []*Query{down}}, "unchecked: " + errOrigin.Error()},
			{"missing", file{checked(false), []*Query{missing}}, "unchecked: cannot list digests: the master answers 404"},
			{"second best", file{checked(false), []*Query{missing, other}}, "list 1"},
			{"nothing lists it", file{checked(false), nil}, "unchecked: " + errNoNeed.Error()},
			{"no needer", checked(false), "unchecked: " + errNoNeed.Error()},
		} {
			expect(t, c, query("file, "+tt.name, tt.from), Missed, tt.want)
		}
		every := get(c, query("all of them", file{checked(false), []*Query{down, missing}})).body
		if !strings.Contains(every, errOrigin.Error()) || !strings.Contains(every, "404") {
			t.Errorf("got %q; want every reason", every)
		}
	})
}

// A wait for the need is the Fetcher's to bound, and the document is fetched on.
func TestWaitForANeedEndsWithItsContext(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		list := listQuery("list", listing(time.Minute))
		hasty := fetch(func(ctx context.Context, _ FetchRequest, fill *Fill) error {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			if _, err := fill.Need(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("the need: %w", err)
			}
			return respond(fill, 200, "unchecked", "Cache-Control: max-age=60")
		})
		begun := time.Now()
		expect(t, c, query("file", file{hasty, []*Query{list}}), Missed, "unchecked")
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// A Fetcher's goroutine that asks late finds the cache closed, and touches no tier.
func TestNeedAfterClose(t *testing.T) {
	c, err := Open(Config{Memory: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	w := &Fill{c: c, q: query("a", failing())}
	if _, err := w.Need(t.Context(), false); !errors.Is(err, errNoNeed) {
		t.Errorf("open: err = %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Need(t.Context(), false); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: err = %v; want %v", err, ErrClosed)
	}
}
