package cache

import (
	"path/filepath"
	"testing"

	"pkgedge/cache/purge"
	"pkgedge/cache/store"
)

// A cache that has left its directory to another goes on. It reads stored files, keeps new
// responses in memory, changes nothing on disk, and tells the other of purges.
func TestReleaseLeavesTheDirectory(t *testing.T) {
	dir := t.TempDir()
	open := func() *Cache {
		c, err := Open(Config{Memory: 128 << 20, Disk: 64 << 20, MaxObject: 16 << 20, Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	old := open()
	expect(t, old, query("a", always(200, "a of the old one", "Cache-Control: max-age=60")), Missed, "a of the old one")
	settle(old)
	if _, err := Open(Config{Memory: 128 << 20, Disk: 64 << 20, MaxObject: 16 << 20, Dir: dir}); err == nil {
		t.Fatal("two caches have the directory")
	}

	var next *Cache
	old.Forward(func(all ...purge.Purge) error { return next.Forwarded(all...) })
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	next = open()
	next.Forward(func(all ...purge.Purge) error { return old.Forwarded(all...) })
	if next.Crashed() {
		t.Error("the directory was not left in order")
	}
	expect(t, old, query("a", failing()), Hit, "a of the old one")
	expect(t, old, query("b", always(200, "b of the old one", "Cache-Control: max-age=60")), Missed, "b of the old one")
	settle(old)
	expect(t, old, query("b", failing()), Hit, "b of the old one")
	expect(t, next, query("a", failing()), Hit, "a of the old one")
	expect(t, next, query("b", always(200, "b of the next one", "Cache-Control: max-age=60")), Missed, "b of the next one")
	settle(next)
	if left, err := filepath.Glob(filepath.Join(dir, "tmp", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	q := query("a", always(200, "a, purged", "Cache-Control: max-age=60"))
	if err := old.Purge(purge.Purge{Scope: purge.Key, Site: q.Key.Site, Name: q.Key.ID}); err != nil {
		t.Fatal(err)
	}
	expect(t, next, q, Missed, "a, purged")
	settle(next)
	expect(t, old, query("a", always(200, "a, purged here", "Cache-Control: max-age=60")), Missed, "a, purged here")
	if err := next.Purge(purge.Purge{Scope: purge.All}); err != nil {
		t.Fatal(err)
	}
	expect(t, old, query("b", always(200, "b, purged", "Cache-Control: max-age=60")), Missed, "b, purged")
	expect(t, next, query("a", always(200, "a, purged", "Cache-Control: max-age=60")), Missed, "a, purged")
	settle(next)
	settle(old)
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	if !next.disk.Has(store.Key{Site: q.Key.Site, ID: q.Key.ID}.Sum()) {
		t.Error("the file of the next one is gone")
	}
	expect(t, next, query("a", failing()), Hit, "a, purged")
}
