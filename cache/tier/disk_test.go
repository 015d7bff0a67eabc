package tier

import (
	"os"
	"path/filepath"
	"testing"

	"pkgedge/cache/disk"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// A directory of objects that vanished is made again. When all of them are gone,
// the tier may have been unmounted: it writes nothing, and says so.
func TestDiskWhoseDirectoriesVanish(t *testing.T) {
	for name, gone := range map[string]func(d *disk.Store, dir string, k store.Key) string{
		"one of objects": func(d *disk.Store, _ string, k store.Key) string { return filepath.Dir(d.Path(k.Sum())) },
		"objects":        func(_ *disk.Store, dir string, _ store.Key) string { return filepath.Join(dir, "objects") },
		"tmp":            func(_ *disk.Store, dir string, _ store.Key) string { return filepath.Join(dir, "tmp") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := openedDisk(t, dir, 8<<20)
			s := tiersOf(openedMemory(t), d)
			k, b := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 100)
			storetest.Write(t, s, k, storetest.Meta(k, 1, b), b)
			if err := os.RemoveAll(gone(d, dir, k)); err != nil {
				t.Fatal(err)
			}
			s.Memory.Forget(k.Sum())
			there := []byte(nil)
			if name == "tmp" {
				there = b
			}
			storetest.Expect(t, s, k, 1, there)
			w, err := s.Create(k, storetest.Meta(k, 2, b), 100)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(b)
			err = w.Commit(storetest.Meta(k, 2, b))
			w.Abort()
			paused := d.Paused()
			if recovers := name == "one of objects"; recovers != !paused {
				t.Errorf("pauses %t: %v", paused, err)
			}
			if !paused {
				storetest.Expect(t, d, k, 2, b)
				return
			}
			storetest.Write(t, s, k, storetest.Meta(k, 3, b), b) // into memory
			s.Memory.Wait()
			storetest.Expect(t, s, k, 3, b)
			os.Mkdir(filepath.Join(dir, "objects"), 0o700) // for the clean-up to look into
			os.Mkdir(filepath.Join(dir, "tmp"), 0o700)
		})
	}
}
