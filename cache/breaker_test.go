package cache

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/fsys/fsystest"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/purge"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

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
				sys, h := fsys.System(), fsystest.NewHooks()
				c := opened(t, func(cfg *Config) {
					cfg.calls = h.System()
					cfg.Notify = func(op string, err error) {
						mu.Lock()
						defer mu.Unlock()
						told++
					}
				})
				settle(c)
				switch op {
				case "create":
					h.Open = func(path string, flag int) (*os.File, error) {
						if err := b.now(); err != nil && flag&os.O_CREATE != 0 {
							return nil, err
						}
						return sys.Open(path, flag)
					}
				case "write":
					h.Write = func(f *os.File, p []byte, off int64) (int, error) {
						if err := b.now(); err != nil {
							n, _ := sys.Write(f, p[:len(p)/2], off)
							return n, err
						}
						return sys.Write(f, p, off)
					}
				case "rename":
					h.Rename = func(from, to string) error {
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
		large := strings.Repeat("large", 40_000) // for the disk alone
		expect(t, c, query("before", always(200, large, "Cache-Control: max-age=3600")), Missed, large)
		settle(c)
		for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS} {
			b.set(errno)
			before := told()
			for i := range 5 {
				id := fmt.Sprint(errno, i)
				expect(t, c, query(id, always(200, large, "Cache-Control: max-age=3600")), Missed, large)
				held := fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
					return hold(fill, map[string]string{"": large})
				})
				expect(t, c, query(id+"held", held), Missed, large)
			}
			settle(c)
			if n := told() - before; n != 1 {
				t.Errorf("%v: told of %d times, want once", errno, n)
			}
			if !c.Usage().DiskPaused {
				t.Errorf("%v: not said to pause", errno)
			}
			// Stored responses are served all along.
			expect(t, c, query("before", failing()), Hit, large)
			b.set(nil)
			pass(time.Minute)
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
		origin := &counting{fetch: func(n int, _ context.Context, ask FetchRequest, fill *Fill) error {
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
		expect(t, c, q, Revalidated, "small")
		settle(c)
		expect(t, c, q, Hit, "small")
		origin.want(t, 2)
		b.set(nil) // for the journal of purges
		if err := c.Purge(purge.Purge{Scope: purge.All}); err != nil {
			t.Fatal(err)
		}
		if g := get(c, query("a", failing())); g.err == nil {
			t.Errorf("purged, and yet %v", g)
		}
	})
}

// A response that memory alone kept is on disk from its first hit after the pause.
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
		pass(time.Minute)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { expect(t, c, query("a", failing()), Hit, "small") })
		}
		wg.Wait()
		settle(c)
		s, _ := c.memory.Lookup(k, k.Sum())
		if s == nil || s.OnlyHere {
			t.Errorf("in memory: %v", s)
		}
		storetest.Expect(t, c.disk, k, s.Version, []byte("small"))
		if used, _ := storetest.Files(t, filepath.Dir(filepath.Dir(filepath.Dir(c.disk.Path(k.Sum()))))); used != c.disk.Used() {
			t.Errorf("%d bytes, counted %d", used, c.disk.Used())
		}
	})
}

// Where an older response is on disk, the one in memory answers.
func TestBrokenDiskDoesNotBringBackTheOld(t *testing.T) {
	onBroken(t, func(t *testing.T, c *Cache, b *broken, _ func() int) {
		n := 0
		origin := fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			n++
			return respond(fill, 200, fmt.Sprint("version ", n), "Cache-Control: max-age=60")
		})
		expect(t, c, query("a", origin), Missed, "version 1")
		settle(c)
		pass(2 * time.Minute)
		b.set(syscall.ENOSPC)
		expect(t, c, query("trips it", always(200, "x", "Cache-Control: max-age=3600")), Missed, "x")
		settle(c)
		b.set(nil)
		expect(t, c, query("a", origin), Missed, "version 2")
		settle(c)
		expect(t, c, query("a", origin), Hit, "version 2")
		pass(2 * time.Minute)
		expect(t, c, query("a", origin), Missed, "version 3") // on disk again
		settle(c)
		expect(t, c, query("a", origin), Hit, "version 3")
		storetest.Expect(t, c.disk, store.Key{Site: "s", ID: "a"}, c.versions.last.Load(), []byte("version 3"))
	})
}
