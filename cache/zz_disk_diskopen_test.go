package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

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
