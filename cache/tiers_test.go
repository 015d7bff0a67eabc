package cache

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/fsys/fsystest"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// The disk may evict a response that memory has a copy of. A validation must keep the copy.
func TestValidationKeepsTheLastCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := opened(t, nil)
		q := query("a", fetch(func(_ context.Context, ask FetchRequest, fill *Fill) error {
			if ask.ETag != "" {
				return fill.Respond(304, policytest.Fields("Cache-Control: max-age=60"), 0)
			}
			return respond(fill, 200, "A", `Etag: "x"`, "Cache-Control: max-age=60")
		}))
		expect(t, c, q, Missed, "A")
		settle(c)
		storetest.EvictAll(t, c.disk)
		pass(2 * time.Minute)
		expect(t, c, q, Revalidated, "A")
		settle(c)
		expect(t, c, query("a", failing()), Hit, "A") // and that hit has it written
		settle(c)
		storetest.Expect(t, c.disk, q.Key, storetest.VersionOf(c.store, q.Key), []byte("A"))
	})
}

// A hit in memory does not wait for the write to disk after a pause; Close does. Before the
// write ends, Contains sees the response, also after it left memory.
func TestHitInMemoryDoesNotWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := fsystest.NewHooks()
		c := opened(t, func(cfg *Config) { cfg.calls = h.System() })
		k := store.Key{Site: "s", ID: "a"}
		mend := storetest.Pause(t, c.disk, h)
		expect(t, c, query("a", always(200, "A", "Cache-Control: max-age=3600")), Missed, "A")
		settle(c)
		mend()
		hang, renames, rename := make(chan struct{}), 0, h.Rename
		h.Rename = func(from, to string) error {
			if strings.Contains(to, "objects") {
				renames++
				<-hang
			}
			return rename(from, to)
		}
		for range 3 {
			expect(t, c, query("a", failing()), Hit, "A")
		}
		synctest.Wait()
		c.memory.Forget(k.Sum()) // as evicted
		if !c.Contains(k) {
			t.Error("Contains says no, and then it is stored")
		}
		close(hang)
		settle(c)
		storetest.Expect(t, c.disk, k, storetest.VersionOf(c.disk, k), []byte("A"))
		if !c.Contains(k) {
			t.Error("the copy is not counted right")
		}
		if renames < 1 || renames > 2 { // the directory may be made between two
			t.Errorf("written %d times", renames)
		}
	})
}

// Contains sees a response that moves from disk to memory, whichever it looks at first:
// it is called while the response moves, or it moves between its looks.
func TestHoldsWhatIsBeingPromoted(t *testing.T) {
	k, b := store.Key{Site: "s", ID: "a"}, []byte("body")
	h := fsystest.NewHooks()
	stored := func(t *testing.T) *Cache {
		*h = *fsystest.NewHooks()
		c := opened(t, func(cfg *Config) { cfg.calls = h.System() })
		settle(c)
		storetest.Write(t, c.disk, k, storetest.Meta(k, 1, b), b)
		return c
	}
	// opening runs before and after once, around an opening of the file when that is so.
	opening := func(so func() bool, before, after func()) {
		open, once := h.Open, false
		h.Open = func(path string, flag int) (*os.File, error) {
			if once || !strings.Contains(path, "objects") || flag != os.O_RDONLY || !so() {
				return open(path, flag)
			}
			once = true
			before()
			f, err := open(path, flag)
			after()
			return f, err
		}
	}
	t.Run("while", func(t *testing.T) {
		c := stored(t)
		held := false
		opening(func() bool { return c.memory.Has(k.Sum()) }, func() {}, func() {
			storetest.EvictAll(t, c.disk) // it has been seen there for the last time
			held = c.Contains(k)
		})
		c.store.Get(k).Release()
		c.memory.Wait()
		if !held || !c.Contains(k) {
			t.Errorf("held %v, and after that %v", held, c.Contains(k))
		}
	})
	t.Run("between", func(t *testing.T) {
		c := stored(t)
		opening(func() bool { return true }, func() {
			c.store.Get(k).Release()
			storetest.EvictAll(t, c.disk)
		}, func() {})
		if !c.Contains(k) {
			t.Error("Contains says no")
		}
		c.memory.Wait()
		storetest.Expect(t, c.memory, k, 1, b)
	})
}

func TestNothingRunsAfterClose(t *testing.T) {
	c, err := Open(Config{Memory: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if c.background(func() { t.Error("it runs") }) {
		t.Error("work begins after Close")
	}
}
