package cache

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"pkgedge/cache/fsys"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

func wantHeld(t *testing.T, c *Cache, id string, want bool) {
	t.Helper()
	if got := c.Holds(store.Key{Site: "s", ID: id}); got != want {
		t.Errorf("Holds(%s) is %v", id, got)
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
		if c.Holds(store.Key{Site: "t", ID: "a"}) {
			t.Error("another site's")
		}
		if n := len(c.filling); n != 0 {
			t.Errorf("%d fills are counted and none is under way", n)
		}
	})
}

// What is on disk counts before the scan has seen it.
func TestHoldsWhatAnEarlierEdgeStored(t *testing.T) {
	dir := t.TempDir()
	keep := func(cfg *Config) { cfg.Dir = dir }
	t.Run("earlier", func(t *testing.T) {
		c := opened(t, keep)
		expect(t, c, query("a", always(200, "A", "Cache-Control: max-age=60")), Missed, "A")
		settle(c)
	})
	d, err := openDisk(fsys.System(), dir, 1<<20, func(string, error) {})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	sum := store.Key{Site: "s", ID: "a"}.Sum()
	if d.index.Has(sum) || !d.has(sum) || d.has(store.Key{Site: "s", ID: "b"}.Sum()) {
		t.Errorf("index %v, disk %v", d.index.Has(sum), d.has(sum))
	}
	d.sys.Open = func(string, int) (*os.File, error) { return nil, syscall.EIO }
	if !d.has(sum) {
		t.Error("what cannot be told is a no")
	}
}

// A purge of what is being fetched covers what the fetch brings: the fill must be
// held from before the origin is asked until its response is visible.
func TestHoldsWhatIsBeingFetched(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		asked, gate := make(chan struct{}), make(chan struct{})
		q := query("a", fetch(func(_ context.Context, _ Ask, fill *Fill) error {
			wantHeld(t, c, "a", true)
			close(asked)
			<-gate
			return respond(fill, 200, "old", "Cache-Control: max-age=60")
		}))
		q.Key.Metadata = true
		wait := clients(c, 1, func(int) *Query { return q })
		<-asked
		wantHeld(t, c, "a", true)
		if err := c.Purge(Purge{Scope: ScopeGroupMetadata, Site: "s", Name: "g", Soft: true}); err != nil {
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

// A fill for one client alone stores what it fetches too.
func TestHoldsAFillThatIsNotShared(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		gate := make(chan struct{})
		q := query("a", fetch(func(_ context.Context, _ Ask, fill *Fill) error {
			<-gate
			return respond(fill, 200, "old", "Cache-Control: public, max-age=60")
		}))
		q.Request.Authorized = true
		wait := clients(c, 2, func(int) *Query { return q })
		synctest.Wait()
		if len(c.flights) != 0 {
			t.Fatal("it is shared")
		}
		wantHeld(t, c, "a", true)
		close(gate)
		wait()
		settle(c)
		wantHeld(t, c, "a", true)
		if n := len(c.filling); n != 0 {
			t.Errorf("%d fills are counted and none is under way", n)
		}
	})
}

// A fetch that fails or panics is not held for ever.
func TestHoldsNothingAfterAFetchThatFailed(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		get(c, query("a", failing()))
		get(c, query("b", fetch(func(context.Context, Ask, *Fill) error { panic("no") })))
		settle(c)
		pass(2 * cooling)
		wantHeld(t, c, "a", false)
		wantHeld(t, c, "b", false)
	})
}

func TestManyPurgesTakeFewSyncs(t *testing.T) {
	dir := t.TempDir()
	sys, syncs := fsys.System(), 0
	sync := sys.Sync
	sys.Sync = func(f *os.File) error { syncs++; return sync(f) }
	p, err := openPurges(sys, dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []Purge
	for i := range 1000 {
		all = append(all, Purge{Scope: ScopeGroupMetadata, Site: "s", Name: fmt.Sprint("name-", i), Soft: true})
	}
	before := p.now()
	largest := 0
	write := p.journal.sys.Write
	p.journal.sys.Write = func(f *os.File, b []byte, off int64) (int, error) {
		largest = max(largest, len(b))
		return write(f, b, off)
	}
	if syncs = 0; p.add(all...) != nil || syncs > 50 || largest > 4096 {
		t.Errorf("%d syncs, the largest write %d bytes", syncs, largest)
	}
	if syncs = 0; p.add() != nil || syncs != 0 {
		t.Errorf("no purge took %d syncs", syncs)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	again := openedPurges(t, dir)
	for i := range 1000 {
		if m := again.mark(store.Key{Site: "s", ID: "x", Group: fmt.Sprint("name-", i), Metadata: true}, before); m != policy.MarkedStale {
			t.Fatalf("%d is %v after a restart", i, m)
		}
	}
	if m := again.mark(store.Key{Site: "s", ID: "x", Group: "other", Metadata: true}, before); m != policy.NotMarked {
		t.Errorf("another is %v", m)
	}
}

func TestAPurgeOfASitesMetadata(t *testing.T) {
	dir := t.TempDir()
	p := openedPurges(t, dir)
	before := p.now()
	p.mustAdd(t, Purge{Scope: ScopeSiteMetadata, Site: "s", Soft: true})
	check := func(p *purges) {
		t.Helper()
		for k, want := range map[store.Key]policy.Mark{
			{Site: "s", ID: "packument/a", Group: "a", Metadata: true}: policy.MarkedStale,
			{Site: "s", ID: "keys", Metadata: true}:                    policy.MarkedStale,
			{Site: "s", ID: "tarball/a", Group: "a"}:                   policy.NotMarked,
			{Site: "t", ID: "packument/a", Group: "a", Metadata: true}: policy.NotMarked,
		} {
			if got := p.mark(k, before); got != want {
				t.Errorf("%v is %v", k, got)
			}
			if got := p.mark(k, p.now()); got != policy.NotMarked {
				t.Errorf("%v is %v when it came later", k, got)
			}
		}
	}
	check(p)
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	check(openedPurges(t, dir))
}

// The numbers of the scopes are in the journals of earlier edges.
func TestScopesKeepTheirNumbersInTheJournal(t *testing.T) {
	dir := t.TempDir()
	lines := []string{
		`{"seq":10,"scope":1,"site":"one"}`, `{"seq":11,"scope":2,"site":"s","name":"group"}`, `{"seq":12,"scope":3,"site":"s","name":"meta","soft":true}`,
		`{"seq":13,"scope":4,"site":"s","name":"key"}`, `{"seq":14,"scope":5,"site":"five","soft":true}`, `{"seq":15,"scope":99,"site":"s","name":"of a later edge"}`,
	}
	if err := os.WriteFile(filepath.Join(dir, "purges"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := openedPurges(t, dir)
	for k, want := range map[store.Key]policy.Mark{
		{Site: "one", ID: "x"}: policy.MarkedGone, {Site: "s", ID: "x", Group: "group"}: policy.MarkedGone, {Site: "s", ID: "x", Group: "meta", Metadata: true}: policy.MarkedStale,
		{Site: "s", ID: "key"}: policy.MarkedGone, {Site: "five", ID: "x", Metadata: true}: policy.MarkedStale, {Site: "s", ID: "y", Group: "z", Metadata: true}: policy.NotMarked,
	} {
		if got := p.mark(k, 1); got != want {
			t.Errorf("%v is %v; want %v", k, got, want)
		}
	}
}

// What a change of a feed costs that concerns nothing here, and one that does.
func BenchmarkHolds(b *testing.B) {
	c := opened(b, nil)
	i := 0
	for b.Loop() {
		i++
		c.Holds(store.Key{Site: "s", ID: fmt.Sprint("packument/name-", i)})
	}
}

func BenchmarkPurge(b *testing.B) {
	c := opened(b, nil)
	i := 0
	for b.Loop() {
		i++
		if err := c.Purge(Purge{Scope: ScopeGroupMetadata, Site: "s", Name: fmt.Sprint(i % 1000), Soft: true}); err != nil {
			b.Fatal(err)
		}
	}
}
