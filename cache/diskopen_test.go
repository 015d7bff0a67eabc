package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"pkgedge/cache/fsys/fsystest"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// Whoever begins is told of an edge that was not closed, and goes on being told
// until somebody has asked.
func TestUnclean(t *testing.T) {
	for _, tt := range []struct {
		rule string
		end  func(c *Cache, dir string) error
		want bool
	}{
		{"closed", func(c *Cache, _ string) error { return c.Close() }, false},
		{"killed", func(c *Cache, _ string) error { c.disk.kill(); return c.Close() }, true},
		{"an older edge's", func(c *Cache, dir string) error {
			return errors.Join(c.Close(), os.Truncate(filepath.Join(dir, "lock"), 0))
		}, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			dir := t.TempDir()
			var c *Cache
			open := func() {
				var err error
				if c, err = Open(Config{Disk: 8 << 20, Dir: dir, MaxObject: 1 << 20}); err != nil {
					t.Fatal(err)
				}
			}
			end := func(err error) {
				if err != nil {
					t.Fatal(err)
				}
			}
			open()
			if c.Unclean() {
				t.Error("a new directory is unclean")
			}
			fillUp(t, c.disk, "", 3, 1000)
			end(tt.end(c, dir))
			open()
			end(c.Close()) // a start that failed later, and asked nobody
			open()
			if c.Unclean() != tt.want {
				t.Errorf("unclean is %t, want %t", !tt.want, tt.want)
			}
			end(c.Close())
			open()
			if c.Unclean() {
				t.Error("closed, and unclean still")
			}
			c.disk.kill()
			end(c.Close())
			open()
			if !c.Unclean() {
				t.Error("the second edge was killed, and nobody knows")
			}
			end(c.Close())
		})
	}
}

// Whichever call fails, and wherever it is killed: an edge that begins says so, or
// works, and loses neither a response nor the mark that the next one looks for.
func TestDiskOpenFaults(t *testing.T) {
	met := map[string]bool{}
	for _, killed := range []bool{false, true} {
		for at, more := 1, true; more; at++ {
			for _, format := range []string{"3\n", "2\n"} {
				name := fmt.Sprintf("call %d killed=%t format %q", at, killed, format)
				dir := t.TempDir()
				d := openHere(t, dir)
				k, b := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 1000)
				storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
				d.close()
				if err := os.WriteFile(filepath.Join(dir, "format"), []byte(format), 0o600); err != nil {
					t.Fatal(err)
				}
				f := &fsystest.Faults{FailAt: at, Err: syscall.EIO, Killed: killed}
				d, err := openDisk(f.Calls(), dir, 64<<20, func(string, error) {})
				if err == nil {
					d.kill()
				}
				met[f.Failed] = true
				d = openHere(t, dir)
				if err == nil && !d.unclean {
					t.Errorf("%s, %s: killed, and the next start does not know", name, f.Failed)
				}
				storetest.Expect(t, d, k, 1, b)
				d.close()
				if have, err := os.ReadFile(filepath.Join(dir, "format")); err != nil || string(have) != "3\n" {
					t.Errorf("%s, %s: the format is %q: %v", name, f.Failed, have, err)
				}
				more = f.Failed != ""
			}
		}
	}
	for _, op := range []string{"open", "create", "read", "write", "cut", "sync", "remove"} {
		if !met[op] {
			t.Errorf("no %s failed", op)
		}
	}
}
