package tier

import (
	"testing"

	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

func TestTiersAreAStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T) (store.Store, func()) {
		m := openedMemory(t)
		return tiersOf(m, openedDisk(t, t.TempDir(), 64<<20)), m.Wait
	})
}
