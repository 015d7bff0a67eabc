package cache

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"testing/synctest"

	"pkgedge/cache/disk"
	"pkgedge/cache/fsys"
	"pkgedge/cache/purge"
	"pkgedge/cache/store"
)

func wantHeld(t *testing.T, c *Cache, id string, want bool) {
	t.Helper()
	if got := c.Contains(store.Key{Site: "s", ID: id}); got != want {
		t.Errorf("Contains(%s) is %v", id, got)
	}
}

func TestHoldsWhatIsStored(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		wantHeld(t, c, "a", false)
		expect(t, c, query("a", always(200, "A", "Cache-Control: max-age=60")), Missed, "A")
		expect(t, c, query("none", always(404, "none", "Cache-Control: max-age=60")), Missed, "none")
		expect(t, c, query("passing", always(200, "P", "Cache-Control: no-store")), Missed, "P")
		settle(c)
		pass(2 * cooling)
		wantHeld(t, c, "a", true)
		wantHeld(t, c, "none", true)
		wantHeld(t, c, "passing", false)
		wantHeld(t, c, "b", false)
		if c.Contains(store.Key{Site: "t", ID: "a"}) {
			t.Error("another site's")
		}
		if _, n := c.flights.count(); n != 0 {
			t.Errorf("%d fills are counted and none is under way", n)
		}
	})
}

// A response on disk counts before the scan has seen it.
func TestHoldsWhatAnEarlierEdgeStored(t *testing.T) {
	dir := t.TempDir()
	keep := func(cfg *Config) { cfg.Dir = dir }
	t.Run("earlier", func(t *testing.T) {
		c := opened(t, keep)
		expect(t, c, query("a", always(200, "A", "Cache-Control: max-age=60")), Missed, "A")
		settle(c)
	})
	sys, broken := fsys.System(), false
	open := sys.Open
	sys.Open = func(path string, flag int) (*os.File, error) {
		if broken {
			return nil, syscall.EIO
		}
		return open(path, flag)
	}
	d, err := disk.Open(disk.Config{Sys: sys, Dir: dir, Limit: 1 << 20, Notify: func(string, error) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	sum := store.Key{Site: "s", ID: "a"}.Sum()
	if d.Index.Has(sum) || !d.Has(sum) || d.Has(store.Key{Site: "s", ID: "b"}.Sum()) {
		t.Errorf("index %v, disk %v", d.Index.Has(sum), d.Has(sum))
	}
	if broken = true; !d.Has(sum) {
		t.Error("what cannot be told is a no")
	}
}

// A purge covers the response of a fill under way: Contains must see the fill from before its
// request to the origin until its response is visible.
func TestHoldsWhatIsBeingFetched(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		asked, gate := make(chan struct{}), make(chan struct{})
		q := query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			wantHeld(t, c, "a", true)
			close(asked)
			<-gate
			return respond(fill, 200, "old", "Cache-Control: max-age=60")
		}))
		q.Key.Metadata = true
		wait := clients(c, 1, func(int) *Query { return q })
		<-asked
		wantHeld(t, c, "a", true)
		if err := c.Purge(purge.Purge{Scope: purge.GroupMetadata, Site: "s", Name: "g", Soft: true}); err != nil {
			t.Fatal(err)
		}
		close(gate)
		wait()
		settle(c)
		wantHeld(t, c, "a", true)
		again := query("a", always(200, "new", "Cache-Control: max-age=60"))
		again.Key.Metadata = true
		expect(t, c, again, Missed, "new")
	})
}

// A fill for one client alone stores its response, too.
func TestHoldsAFillThatIsNotShared(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		gate := make(chan struct{})
		q := query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			<-gate
			return respond(fill, 200, "old", "Cache-Control: public, max-age=60")
		}))
		q.Request.Authorized = true
		wait := clients(c, 2, func(int) *Query { return q })
		synctest.Wait()
		if n, _ := c.flights.count(); n != 0 {
			t.Fatal("it is shared")
		}
		wantHeld(t, c, "a", true)
		close(gate)
		wait()
		settle(c)
		wantHeld(t, c, "a", true)
		if _, n := c.flights.count(); n != 0 {
			t.Errorf("%d fills are counted and none is under way", n)
		}
	})
}

// A fetch that fails or panics is not held for ever.
func TestHoldsNothingAfterAFetchThatFailed(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		get(c, query("a", failing()))
		get(c, query("b", fetch(func(context.Context, FetchRequest, *Fill) error { panic("no") })))
		settle(c)
		pass(2 * cooling)
		wantHeld(t, c, "a", false)
		wantHeld(t, c, "b", false)
	})
}

// BenchmarkHolds measures a feed's change of a response that is not stored, and of one that
// is.
func BenchmarkHolds(b *testing.B) {
	c := opened(b, nil)
	i := 0
	for b.Loop() {
		i++
		c.Contains(store.Key{Site: "s", ID: fmt.Sprint("packument/name-", i)})
	}
}
