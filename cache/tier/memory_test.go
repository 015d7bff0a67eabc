package tier

import (
	"fmt"
	"os"
	"testing"

	"pkgedge/cache/disk"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// freshening on the disk, while memory has no copy, must also refuse a copy of
// the old Meta that is on its way.
func TestTiersFreshenRefusesACopyOfTheOldMeta(t *testing.T) {
	m := openedMemory(t)
	s := tiersOf(m, openedDisk(t, t.TempDir(), 1<<20))
	k, b := store.Key{ID: "a"}, []byte("body")
	storetest.Write(t, s.Disk, k, storetest.Meta(k, 1, b), b)
	_, ticket := m.Lookup(k, k.Sum())
	old := s.Disk.Get(k)
	defer old.Release()
	if err := s.Freshen(k, 1, storetest.Meta(k, 2, b)); err != nil {
		t.Fatal(err)
	}
	m.Promote(ticket, k, old.Meta, b)
	m.Wait()
	storetest.Expect(t, s, k, 2, b)
}

func TestTiersPromotion(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 8<<20)
	k, b := store.Key{ID: "a"}, storetest.Payload(1, 5000)
	large := store.Key{ID: "large"}
	huge := storetest.Payload(2, 200_000)
	storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
	storetest.Write(t, d, large, storetest.Meta(large, 2, huge), huge)

	m := openedMemory(t) // as after a restart
	s := tiersOf(m, d)
	storetest.Expect(t, s, k, 1, b)
	storetest.Expect(t, s, large, 2, huge)
	m.Wait()
	storetest.Expect(t, m, k, 1, b)
	storetest.Expect(t, m, large, 0, nil)

	have := s.Get(large)
	defer have.Release()
	if _, ok := have.Body.(*disk.Entry); !ok {
		t.Error("a large body is no file: no sendfile")
	}
}

func TestTiersHitInMemoryCountsOnDisk(t *testing.T) {
	s := tiersOf(openedMemory(t), openedDisk(t, t.TempDir(), 1<<20))
	k, b := store.Key{ID: "a"}, []byte("body")
	storetest.Write(t, s, k, storetest.Meta(k, 1, b), b)
	s.Memory.Wait()
	for i := range 64 { // every shard has one, none of them is asked for
		other := store.Key{ID: fmt.Sprint("b", i)}
		for n := 0; other.Sum()[0]%64 != k.Sum()[0]%64; n++ {
			other.ID = fmt.Sprint("b", i, ".", n)
		}
		storetest.Write(t, s, other, storetest.Meta(other, uint64(i+2), b), b)
	}
	storetest.Expect(t, s, k, 1, b)
	for range 64 {
		s.Disk.Evict()
	}
	if !s.Disk.Has(k.Sum()) {
		t.Error("a response that memory answers with looks unused on disk, and is evicted before the rest")
	}
}

func TestTiersChecksWhatItPromotes(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	k, b := store.Key{ID: "a"}, storetest.Payload(1, 5000)
	storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
	storetest.Flip(t, d.Path(k.Sum()), -100)
	s := tiersOf(openedMemory(t), d)
	storetest.Expect(t, s, k, 0, nil)
	if d.Status().Corrupt != 1 {
		t.Errorf("%d corrupt, want 1", d.Status().Corrupt)
	}
	if _, err := os.Stat(d.Path(k.Sum())); err == nil {
		t.Error("the bad file is still there")
	}
	storetest.Write(t, s, k, storetest.Meta(k, 2, b), b)
	s.Memory.Wait()
	storetest.Expect(t, s, k, 2, b)
}
