package cache

import (
	"testing"

	"pkgedge/cache/fsys/fsystest"
)

// hookedDisk opens a disk tier whose calls the test replaces.
func hookedDisk(t testing.TB, h *fsystest.Hooks) *disk {
	t.Helper()
	d, err := openDisk(*h.System(), t.TempDir(), 1<<20, func(op string, err error) { t.Logf("%s: %v", op, err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close() })
	return d
}
