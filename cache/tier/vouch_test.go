package tier

import (
	"errors"
	"testing"

	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// Of two fetches for a key, the one that began first may end last.
func TestCommitOfAnOlderResponseIsRefused(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) store.Store{
		"disk": func(t *testing.T) store.Store { return openedDisk(t, t.TempDir(), 8<<20) },
		"tiers": func(t *testing.T) store.Store {
			return tiersOf(openedMemory(t), openedDisk(t, t.TempDir(), 8<<20))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			k := store.Key{Site: "s", ID: "a"}
			first, second := storetest.Payload(1, 1000), storetest.Payload(2, 2000)
			w, err := s.Create(k, storetest.Meta(k, 1, first), -1)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			w.Write(first)
			storetest.Write(t, s, k, storetest.Meta(k, 2, second), second)
			if err := w.Commit(storetest.Meta(k, 1, first)); !errors.Is(err, store.ErrGone) {
				t.Errorf("got %v, want errGone", err)
			}
			storetest.Expect(t, s, k, 2, second)
		})
	}
}
