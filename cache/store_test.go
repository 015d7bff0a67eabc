package cache

import (
	"testing"

	"pkgedge/cache/budget"
	"pkgedge/cache/fsys"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

func TestMemoryIsAStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T) (store.Store, func()) {
		m := openedMemory(t)
		return m, m.values.Wait
	})
}

func TestDiskIsAStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T) (store.Store, func()) { return openedDisk(t, t.TempDir(), 64<<20), func() {} })
}

func TestTiersAreAStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T) (store.Store, func()) {
		m := openedMemory(t)
		return tiersOf(m, openedDisk(t, t.TempDir(), 64<<20)), m.values.Wait
	})
}

func openedMemory(t testing.TB) *memory {
	t.Helper()
	m, err := newMemory(budget.Shares{Tier: 8 << 20, Afloat: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m
}

func openedDisk(t testing.TB, dir string, limit int64) *disk {
	t.Helper()
	d, err := openDisk(fsys.System(), dir, limit, func(op string, err error) { t.Logf("%s: %v", op, err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.close()
		clean(t, dir)
	})
	return d
}
