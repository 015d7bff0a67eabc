package cache

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/purge"
)

// repeated returns the Repeat of a response with a lifetime of a minute, in memory.
func repeated(t testing.TB, c *Cache) (*Query, *Repeat) {
	t.Helper()
	q := query("a", always(200, "body", "Cache-Control: max-age=60"))
	q.Key.Group = "g"
	get(c, q)
	settle(c)
	a, err := c.Get(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	r := c.Repeat(q, &a)
	if r == nil {
		t.Fatal("cannot be repeated")
	}
	return q, r
}

// A Repeat finds the response as long as a look-up would find it fresh, and with the same
// age and lifetime.
func TestRepeatEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(t *testing.T, c *Cache, q *Query)
		ends bool
	}{
		"nothing": {func(*testing.T, *Cache, *Query) {}, false},
		"later":   {func(*testing.T, *Cache, *Query) { time.Sleep(59 * time.Second) }, false},
		"stale":   {func(*testing.T, *Cache, *Query) { time.Sleep(61 * time.Second) }, true},
		"purged":  {func(t *testing.T, c *Cache, _ *Query) { addPurge(t, c, purge.Purge{Scope: purge.All}) }, true},
		"purged, softly": {func(t *testing.T, c *Cache, q *Query) {
			addPurge(t, c, purge.Purge{Scope: purge.Group, Site: q.Key.Site, Name: "g", Soft: true})
		}, true},
		"another is": {func(t *testing.T, c *Cache, q *Query) {
			addPurge(t, c, purge.Purge{Scope: purge.Group, Site: q.Key.Site, Name: "h"})
		}, false},
		"removed": {func(_ *testing.T, c *Cache, q *Query) {
			e := c.store.Get(q.Key)
			c.store.Remove(q.Key, e.Version)
			e.Release()
		}, true},
		"fetched once more": {func(t *testing.T, c *Cache, q *Query) {
			newer := *q
			newer.Request = asking("no-cache")
			get(c, &newer)
			settle(c)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := opened(t, nil)
				q, r := repeated(t, c)
				tt.do(t, c, q)
				now := time.Now()
				found, ok := r.Get(now)
				if ok == tt.ends {
					t.Fatalf("found: %t", ok)
				}
				if !ok {
					return
				}
				a, err := c.Get(context.Background(), q)
				if err != nil || a.Outcome != Hit || a.Age != found.Age || a.TTL != found.TTL || string(found.Body) != "body" {
					t.Errorf("found %q, %s, %s; a hit has %s, %s", found.Body, found.Age, found.TTL, a.Age, a.TTL)
				}
				a.Close()
			})
		})
	}
}

// It keeps no body in memory that the memory tier has evicted.
func TestRepeatKeepsNothing(t *testing.T) {
	c := opened(t, func(cfg *Config) { cfg.Disk = 0 })
	q, r := repeated(t, c)
	e := c.store.Get(q.Key)
	c.store.Remove(q.Key, e.Version)
	e = nil
	c.memory.Wait()
	for range 10 {
		runtime.GC()
	}
	if r.resident.Value() != nil {
		t.Error("the body is still in memory")
	}
}

// Answers that are not for all clients, or are not hits in memory, are not repeated.
func TestNotRepeated(t *testing.T) {
	c := opened(t, nil)
	q := query("a", always(200, "body", "Cache-Control: max-age=60"))
	a, err := c.Get(context.Background(), q)
	if err != nil || c.Repeat(q, &a) != nil {
		t.Errorf("a miss is repeated, or %v", err)
	}
	a.Close()
	settle(c)
	for name, change := range map[string]func(q *Query){
		"an owner's": func(q *Query) { q.Request.Owner = "x" },
		"validated":  func(q *Query) { q.Request.Validate = true },
	} {
		if a, err = c.Get(context.Background(), q); err != nil || a.Outcome != Hit {
			t.Fatal(a.Outcome, err)
		}
		other := *q
		change(&other)
		if c.Repeat(&other, &a) != nil {
			t.Error(name, "is repeated")
		}
		a.Close()
	}
}

func BenchmarkRepeat(b *testing.B) {
	_, r := repeated(b, opened(b, nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := r.Get(time.Now()); !ok {
			b.Fatal("not found")
		}
	}
}

func addPurge(t *testing.T, c *Cache, p purge.Purge) {
	t.Helper()
	if err := c.Purge(p); err != nil {
		t.Fatal(err)
	}
}
