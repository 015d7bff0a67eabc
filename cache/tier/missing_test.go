package tier

import (
	"fmt"
	"net/http"
	"testing"

	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// missing is the Meta of a 404.
func missing(k store.Key, version uint64, body []byte) *store.Meta {
	m := storetest.Meta(k, version, body)
	m.Status = http.StatusNotFound
	return m
}

// Names that do not exist displace nothing on disk, however many they are.
func TestMissingNamesDisplaceNoFile(t *testing.T) {
	s := tiersOf(openedMemory(t), openedDisk(t, t.TempDir(), 1<<20))
	b := storetest.Payload(1, 5000)
	popular := func(i int) store.Key { return store.Key{ID: fmt.Sprint("popular", i)} }
	for i := range 30 {
		storetest.Write(t, s, popular(i), storetest.Meta(popular(i), uint64(i+1), b), b)
	}
	for i := range 2000 { // of 4.5 KB each, on disk
		k := store.Key{ID: fmt.Sprint("missing", i)}
		storetest.Write(t, s, k, missing(k, uint64(i+100), []byte("none")), []byte("none"))
		storetest.Expect(t, s, k, uint64(i+100), []byte("none")) // nor does a hit write it to disk
		if s.Disk.Has(k.Sum()) {
			t.Fatal("a 404 is on disk")
		}
	}
	for i := range 30 {
		storetest.Expect(t, s.Disk, popular(i), uint64(i+1), b)
	}
}

// A 404 takes the place of the response before it in both tiers, and leaves it to a newer one.
func TestMissingTakesThePlaceOfTheOlderResponse(t *testing.T) {
	s := tiersOf(openedMemory(t), openedDisk(t, t.TempDir(), 1<<20))
	k, b := store.Key{ID: "a"}, []byte("body")
	storetest.Write(t, s, k, storetest.Meta(k, 1, b), b)
	storetest.Write(t, s, k, missing(k, 2, []byte("none")), []byte("none"))
	storetest.Expect(t, s, k, 2, []byte("none"))
	storetest.Expect(t, s.Disk, k, 0, nil)
	s.Memory.Forget(k.Sum())
	storetest.Expect(t, s, k, 0, nil)

	storetest.Write(t, s, k, storetest.Meta(k, 4, b), b)
	w, err := s.Create(k, missing(k, 3, []byte("none")), 4)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write([]byte("none")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(missing(k, 3, []byte("none"))); err == nil {
		t.Error("an older 404 took the place of a newer response")
	}
	storetest.Expect(t, s, k, 4, b)
	storetest.Expect(t, s.Disk, k, 4, b)
}
