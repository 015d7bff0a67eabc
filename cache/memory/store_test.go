package memory

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

func openedMemory(t testing.TB) *Store {
	t.Helper()
	m, err := New(budget.Shares{Tier: 8 << 20, InFlight: 32 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}
