package disk

import (
	"testing"

	"pkgedge/cache/budget"
	"pkgedge/cache/fsys"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

func TestDiskIsAStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T) (store.Store, func()) { return openedDisk(t, t.TempDir(), 64<<20), func() {} })
}

func openedDisk(t testing.TB, dir string, limit int64) *Store {
	t.Helper()
	buffers := budget.NewBuffers(4 << 20)
	d, err := Open(Config{Sys: fsys.System(), Dir: dir, Limit: limit, Buffers: buffers, Notify: func(op string, err error) { t.Logf("%s: %v", op, err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		storetest.Clean(t, dir)
		if left := buffers.Left.Load(); left != 4<<20 {
			t.Errorf("writers have not released %d bytes", 4<<20-left)
		}
	})
	return d
}
