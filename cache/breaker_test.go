package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/purge"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

func TestBreaker(t *testing.T) {
	var b breaker
	now := policytest.Epoch
	for _, want := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute} {
		if b.open(now) {
			t.Fatal("open before it tripped")
		}
		if have := b.trip(now); have != want {
			t.Errorf("pauses %v, want %v", have, want)
		}
		if b.trip(now) != 0 || !b.open(now.Add(want-1)) {
			t.Error("not one pause")
		}
		b.heal(now) // a commit that began before
		now = now.Add(want)
	}
	b.heal(now)
	if have := b.trip(now); have != shortestPause {
		t.Errorf("healed, and pauses %v", have)
	}
}

// broken says how a disk fails at present.
type broken struct {
	mu  sync.Mutex
	err error
}

func (b *broken) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *broken) now() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// onBroken runs a test with a cache whose files cannot be created, or not
// written, or not renamed.
func onBroken(t *testing.T, test func(t *testing.T, c *Cache, b *broken, told func() int)) {
	for _, op := range []string{"create", "write", "rename"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &broken{}
				var mu sync.Mutex
				told := 0
				c := opened(t, func(cfg *Config) {
					cfg.Notify = func(op string, err error) {
						mu.Lock()
						defer mu.Unlock()
						told++
					}
				})
				settle(c)
				sys := c.disk.sys
				switch op {
				case "create":
					c.disk.sys.Open = func(path string, flag int) (*os.File, error) {
						if err := b.now(); err != nil && flag&os.O_CREATE != 0 {
							return nil, err
						}
						return sys.Open(path, flag)
					}
				case "write":
					c.disk.sys.Write = func(f *os.File, p []byte, off int64) (int, error) {
						if err := b.now(); err != nil {
							n, _ := sys.Write(f, p[:len(p)/2], off)
							return n, err
						}
						return sys.Write(f, p, off)
					}
				case "rename":
					c.disk.sys.Rename = func(from, to string) error {
						if err := b.now(); err != nil {
							return err
						}
						return sys.Rename(from, to)
					}
				}
				test(t, c, b, func() int { mu.Lock(); defer mu.Unlock(); return told })
			})
		})
	}
}

// A disk that is full or fails costs speed, never an answer; it is told of once
// for each pause, and heals by itself.
func TestBrokenDiskCostsNoAnswer(t *testing.T) {
	onBroken(t, func(t *testing.T, c *Cache, b *broken, told func() int) {
		large := strings.Repeat("large", 100_000)
		expect(t, c, query("before", always(200, large, "Cache-Control: max-age=3600")), Missed, large)
		settle(c)
		for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS} {
			b.set(errno)
			before := told()
			for i := range 5 {
				id := fmt.Sprint(errno, i)
				expect(t, c, query(id, always(200, large, "Cache-Control: max-age=3600")), Missed, large)
				held := fetch(func(_ context.Context, _ Ask, fill *Fill) error { return hold(fill, map[string]string{"": large}) })
				expect(t, c, query(id+"held", held), Missed, large)
			}
			settle(c)
			if n := told() - before; n != 1 {
				t.Errorf("%v: told of %d times, want once", errno, n)
			}
			if !c.Usage().DiskPaused {
				t.Errorf("%v: not said to pause", errno)
			}
			// What was stored is served all along.
			expect(t, c, query("before", failing()), Hit, large)
			b.set(nil)
			pass(longestPause)
			if c.Usage().DiskPaused {
				t.Errorf("%v: still pausing", errno)
			}
			q := query(fmt.Sprint("after", errno), always(200, large, "Cache-Control: max-age=3600"))
			expect(t, c, q, Missed, large)
			settle(c)
			expect(t, c, q, Hit, large)
		}
	})
}

// While the disk pauses, small responses live in memory.
func TestBrokenDiskLeavesMemory(t *testing.T) {
	onBroken(t, func(t *testing.T, c *Cache, b *broken, _ func() int) {
		b.set(syscall.ENOSPC)
		expect(t, c, query("trips it", always(200, "x", "Cache-Control: max-age=3600")), Missed, "x")
		settle(c)
		origin := &counting{fetch: func(n int, _ context.Context, ask Ask, fill *Fill) error {
			if n > 1 && ask.ETag == `"1"` {
				return fill.Respond(304, policytest.Fields("Cache-Control: max-age=60"), 0)
			}
			return respond(fill, 200, "small", "Cache-Control: max-age=60", `Etag: "1"`)
		}}
		q := query("a", origin)
		expect(t, c, q, Missed, "small")
		settle(c)
		expect(t, c, q, Hit, "small")
		pass(2 * time.Minute)
		c.disk.breaker.trip(time.Now())
		expect(t, c, q, Revalidated, "small")
		settle(c)
		expect(t, c, q, Hit, "small")
		origin.want(t, 2)
		if err := c.Purge(purge.Purge{Scope: purge.All}); err != nil {
			t.Fatal(err)
		}
		if g := get(c, query("a", failing())); g.err == nil {
			t.Errorf("purged, and yet %v", g)
		}
	})
}

// What was kept in memory alone is on disk from its first hit after the pause.
func TestBrokenDiskIsWrittenToLater(t *testing.T) {
	onBroken(t, func(t *testing.T, c *Cache, b *broken, _ func() int) {
		k := query("a", nil).Key
		b.set(syscall.ENOSPC)
		expect(t, c, query("trips it", always(200, "x", "Cache-Control: max-age=3600")), Missed, "x")
		settle(c) // a client may have all before the commit fails
		expect(t, c, query("a", always(200, "small", "Cache-Control: max-age=3600")), Missed, "small")
		settle(c)
		expect(t, c, query("a", failing()), Hit, "small")
		storetest.Expect(t, c.disk, k, 0, nil)
		b.set(nil)
		pass(longestPause)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { expect(t, c, query("a", failing()), Hit, "small") })
		}
		wg.Wait()
		settle(c)
		s, _ := c.memory.get(k, k.Sum())
		if s == nil || s.sole {
			t.Errorf("in memory: %v", s)
		}
		storetest.Expect(t, c.disk, k, s.ID, []byte("small"))
		if used, _ := files(t, c.disk.dir); used != c.disk.used() || c.disk.reserved.Load() != 0 {
			t.Errorf("%d bytes, counted %d", used, c.disk.used())
		}
	})
}

// Where an older response is on disk, the one in memory answers.
func TestBrokenDiskDoesNotBringBackTheOld(t *testing.T) {
	onBroken(t, func(t *testing.T, c *Cache, b *broken, _ func() int) {
		n := 0
		origin := fetch(func(_ context.Context, _ Ask, fill *Fill) error {
			n++
			return respond(fill, 200, fmt.Sprint("version ", n), "Cache-Control: max-age=60")
		})
		expect(t, c, query("a", origin), Missed, "version 1")
		settle(c)
		pass(2 * time.Minute)
		c.disk.breaker.trip(time.Now())
		expect(t, c, query("a", origin), Missed, "version 2")
		settle(c)
		expect(t, c, query("a", origin), Hit, "version 2")
		pass(2 * time.Minute)
		expect(t, c, query("a", origin), Missed, "version 3") // on disk again
		settle(c)
		expect(t, c, query("a", origin), Hit, "version 3")
		storetest.Expect(t, c.disk, store.Key{Site: "s", ID: "a"}, c.ids.id.Load(), []byte("version 3"))
	})
}

func TestOpenOnADiskThatCannotBeWrittenTo(t *testing.T) {
	for _, tt := range []struct {
		errno syscall.Errno
		opens bool
	}{
		{syscall.EROFS, false},
		{syscall.EACCES, false},
		{syscall.EIO, false},
		{syscall.ENOSPC, true}, // that passes
		{syscall.EDQUOT, true},
	} {
		dir := t.TempDir()
		openedDisk(t, dir, 1<<20).close()
		sys := fsys.System()
		sys.Open = func(path string, flag int) (*os.File, error) {
			if strings.HasSuffix(path, "/try") {
				return nil, &os.PathError{Op: "open", Path: path, Err: tt.errno}
			}
			return os.OpenFile(path, flag, 0o600)
		}
		d, err := openDisk(sys, dir, 1<<20, func(string, error) {})
		if tt.opens != (err == nil) {
			t.Errorf("%v: %v", tt.errno, err)
		}
		if err == nil {
			if !d.breaker.open(time.Now()) {
				t.Errorf("%v: written to all the same", tt.errno)
			}
			d.close()
		} else if !errors.Is(err, tt.errno) || !strings.Contains(err.Error(), "cannot write to the cache directory") {
			t.Errorf("%v: unclear: %v", tt.errno, err)
		}
		openedDisk(t, dir, 1<<20) // the lock was given back
	}
}
