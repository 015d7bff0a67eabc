package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"pkgedge/cache/fsys"
	"pkgedge/cache/fsys/fsystest"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

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
				d.Close()
				if err := os.WriteFile(filepath.Join(dir, "format"), []byte(format), 0o600); err != nil {
					t.Fatal(err)
				}
				f := &fsystest.Faults{FailAt: at, Err: syscall.EIO, Killed: killed}
				d, err := Open(Config{Sys: f.Calls(), Dir: dir, Limit: 64 << 20, Notify: func(string, error) {}})
				if err == nil {
					d.kill()
				}
				met[f.Failed] = true
				d = openHere(t, dir)
				if err == nil && !d.crashed {
					t.Errorf("%s, %s: killed, and the next start does not know", name, f.Failed)
				}
				storetest.Expect(t, d, k, 1, b)
				d.Close()
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

// Crashed is true after an edge that was not closed, and in each later one until a call of
// it.
func TestCrashed(t *testing.T) {
	for _, tt := range []struct {
		rule string
		end  func(d *Store, dir string) error
		want bool
	}{
		{"closed", func(d *Store, _ string) error { return d.Close() }, false},
		{"killed", func(d *Store, _ string) error { d.kill(); return nil }, true},
		{"an older edge's", func(d *Store, dir string) error {
			return errors.Join(d.Close(), os.Truncate(filepath.Join(dir, "lock"), 0))
		}, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			dir := t.TempDir()
			var d *Store
			open := func() {
				var err error
				if d, err = Open(Config{Sys: fsys.System(), Dir: dir, Limit: 8 << 20, Notify: func(string, error) {}}); err != nil {
					t.Fatal(err)
				}
			}
			end := func(err error) {
				if err != nil {
					t.Fatal(err)
				}
			}
			open()
			if d.Crashed() {
				t.Error("a new directory has seen a crash")
			}
			fillUp(t, d, "", 3, 1000)
			end(tt.end(d, dir))
			open()
			end(d.Close()) // a start that failed later, and asked nobody
			open()
			if d.Crashed() != tt.want {
				t.Errorf("crashed is %t, want %t", !tt.want, tt.want)
			}
			end(d.Close())
			open()
			if d.Crashed() {
				t.Error("closed, and crashed still")
			}
			d.kill()
			open()
			if !d.Crashed() {
				t.Error("the second edge was killed, and nobody knows")
			}
			end(d.Close())
		})
	}
}
