package cache

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
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
