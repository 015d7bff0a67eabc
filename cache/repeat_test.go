package cache

import (
	"context"
	"io"
	"os"
	"runtime"
	"strings"
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

// A Repeat of a response in a file ends with the file, and keeps it open for its answers
// alone.
func TestRepeatOfAFile(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 10_000)
	for name, tt := range map[string]struct {
		do   func(t *testing.T, c *Cache, q *Query)
		ends bool
	}{
		"nothing": {func(*testing.T, *Cache, *Query) {}, false},
		"purged":  {func(t *testing.T, c *Cache, _ *Query) { addPurge(t, c, purge.Purge{Scope: purge.All}) }, true},
		"removed": {func(_ *testing.T, c *Cache, q *Query) {
			e := c.store.Get(q.Key)
			c.store.Remove(q.Key, e.Version)
			e.Release()
		}, true},
		"evicted": {func(t *testing.T, c *Cache, _ *Query) {
			if _, err := c.disk.Evict(); err != nil {
				t.Fatal(err)
			}
		}, true},
		"fetched once more": {func(t *testing.T, c *Cache, q *Query) {
			newer := *q
			newer.Request = asking("no-cache")
			get(c, &newer)
			settle(c)
		}, true},
		"removed by another program, a second ago": {func(t *testing.T, c *Cache, q *Query) {
			if err := os.Remove(c.disk.Path(q.Key.Sum())); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := opened(t, func(cfg *Config) { cfg.Disk, cfg.Dir = 8<<20, t.TempDir() })
				q := query("a", always(200, text, "Cache-Control: max-age=60"))
				get(c, q)
				settle(c)
				a, err := c.Get(context.Background(), q)
				if err != nil {
					t.Fatal(err)
				}
				r := c.Repeat(q, &a)
				a.Close()
				if r == nil {
					t.Fatal("cannot be repeated")
				}
				first, ok := r.Get(time.Now())
				if !ok || first.File == nil || first.Recent {
					t.Fatalf("found: %t, a file: %t, read before: %t", ok, first.File != nil, first.Recent)
				}
				r.Sent(time.Now())
				tt.do(t, c, q)
				again, ok := r.Get(time.Now())
				if ok == tt.ends || ok && !again.Recent {
					t.Errorf("found: %t, read before: %t", ok, again.Recent)
				}
				got := make([]byte, len(text))
				f, at := first.File.InFile(first.Part.Offset)
				if _, err := f.ReadAt(got, at); err != nil || string(got) != text {
					t.Errorf("the file that is in use is not readable: %v", err)
				}
				if ok {
					again.File.Close()
				}
				first.File.Close()
				if tt.ends && name != "purged" && first.File.Use() {
					t.Error("the file stays open")
				}
				time.Sleep(recent*time.Second + time.Second)
				if again, ok := r.Get(time.Now()); ok {
					if again.Recent {
						t.Error("read long ago")
					}
					again.File.Close()
				}
			})
		})
	}
}

// A response is repeated from its file only where its bytes were checked.
func TestNoRepeatOfAnUncheckedFile(t *testing.T) {
	q := query("a", always(200, strings.Repeat("0123456789abcdef", 1<<17), "Cache-Control: max-age=600"))
	dir := t.TempDir()
	keep := func(cfg *Config) { cfg.Dir = dir }
	t.Run("before a start", func(t *testing.T) {
		c := opened(t, keep)
		get(c, q)
		settle(c)
	})
	c := opened(t, keep)
	for _, want := range []bool{false, true} { // the first one reads it
		a, err := c.Get(context.Background(), q)
		if err != nil || a.Outcome != Hit {
			t.Fatal(a.Outcome, err)
		}
		if r := c.Repeat(q, &a); (r != nil) != want {
			t.Errorf("can be repeated: %t, want %t", r != nil, want)
		}
		body, err := a.Body(context.Background(), 0)
		if err == nil {
			_, err = io.Copy(io.Discard, body)
		}
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
	}
}
