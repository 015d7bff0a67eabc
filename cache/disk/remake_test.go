package disk

import (
	"os"
	"path/filepath"
	"testing"

	"pkgedge/cache/fsys"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// A directory that is removed while the tier is open is made again, locked as before, and
// told of before it takes responses.
func TestRemovedDirectoryIsMadeAgain(t *testing.T) {
	for _, part := range []string{"", "tmp", "objects"} {
		t.Run("part "+part, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "cache")
			d := openedDisk(t, dir, 8<<20)
			told := 0
			d.remade = func() error {
				if _, err := os.Stat(filepath.Join(dir, "tmp")); part != "objects" && err == nil {
					t.Error("told too late")
				}
				told++
				return nil
			}
			k, b := store.Key{ID: "a"}, []byte("body")
			storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
			if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the first meets it
				if w, err := d.Create(k, storetest.Meta(k, 2, b), int64(len(b))); err == nil {
					w.Write(b)
					w.Commit(storetest.Meta(k, 2, b))
					w.Abort()
				}
				d.breaker = breaker{} // not its pause
			}
			storetest.Expect(t, d, k, 2, b)
			if told == 0 {
				t.Error("nobody was told")
			}
			if other, err := Open(Config{Sys: fsys.System(), Dir: dir, Limit: 1 << 20, Notify: func(string, error) {}}); err == nil {
				other.Close()
				t.Error("it is not locked")
			}
		})
	}
}

// A directory that another edge has made in the meantime stays that edge's.
func TestRemovedDirectoryOfAnotherEdge(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	d := openedDisk(t, dir, 8<<20)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	other := openedDisk(t, dir, 8<<20)
	k, b := store.Key{ID: "a"}, []byte("body")
	if err := d.remake(); err == nil {
		t.Error("both have the directory")
	}
	storetest.Write(t, other, k, storetest.Meta(k, 1, b), b)
	storetest.Expect(t, other, k, 1, b)
	d.Close()
}
