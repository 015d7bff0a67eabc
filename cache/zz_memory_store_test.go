package cache

import (
	"testing"

	"pkgedge/cache/budget"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

func TestMemoryIsAStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T) (store.Store, func()) {
		m := openedMemory(t)
		return m, m.Wait
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
