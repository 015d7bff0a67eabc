package tier

import (
	"testing"

	"pkgedge/cache/budget"
	"pkgedge/cache/disk"
	"pkgedge/cache/fsys"
	"pkgedge/cache/fsys/fsystest"
	"pkgedge/cache/memory"
	"pkgedge/cache/store/storetest"
)

// hookedDisk opens a disk tier whose calls the test replaces.
func hookedDisk(t testing.TB, h *fsystest.Hooks) *disk.Store {
	t.Helper()
	d, err := disk.Open(disk.Config{Sys: *h.System(), Dir: t.TempDir(), Limit: 1 << 20, Notify: func(op string, err error) { t.Logf("%s: %v", op, err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func openedDisk(t testing.TB, dir string, limit int64) *disk.Store {
	t.Helper()
	d, err := disk.Open(disk.Config{Sys: fsys.System(), Dir: dir, Limit: limit, Notify: func(op string, err error) { t.Logf("%s: %v", op, err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		storetest.Clean(t, dir)
	})
	return d
}

func openedMemory(t testing.TB) *memory.Store {
	t.Helper()
	m, err := memory.New(budget.Shares{Tier: 8 << 20, InFlight: 32 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}
