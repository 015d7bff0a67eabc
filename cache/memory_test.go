package cache

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// ristretto loses the second of two quick writes of a new key: what is current
// is not its to say.
func TestMemoryLastWriteWins(t *testing.T) {
	m := openedMemory(t)
	for i := range 200 {
		k := store.Key{ID: fmt.Sprint(i)}
		m.put(k, storetest.Meta(k, 1, []byte("old")), []byte("old"), false)
		m.put(k, storetest.Meta(k, 2, []byte("new")), []byte("new"), false)
		if s := m.Get(k); s != nil && s.ID != 2 {
			t.Fatalf("write %d: answers with the first", i)
		}
	}
	m.values.Wait()
	for i := range 200 {
		storetest.Expect(t, m, store.Key{ID: fmt.Sprint(i)}, 2, []byte("new"))
	}
}

// ristretto brings a deleted value back when writes are queued.
func TestMemoryForgottenStaysForgotten(t *testing.T) {
	m := openedMemory(t)
	for i := range 500 {
		k := store.Key{ID: fmt.Sprint(i)}
		m.put(k, storetest.Meta(k, 1, []byte("x")), []byte("x"), false)
		m.forget(k.Sum())
		storetest.Expect(t, m, k, 0, nil)
	}
	m.values.Wait()
	for i := range 500 {
		storetest.Expect(t, m, store.Key{ID: fmt.Sprint(i)}, 0, nil)
	}
	if _, objects := m.used(); objects != 0 {
		t.Errorf("%d are remembered", objects)
	}
}

func TestMemoryOlderWriteIsRefused(t *testing.T) {
	m := openedMemory(t)
	k := store.Key{ID: "a"}
	m.put(k, storetest.Meta(k, 2, []byte("new")), []byte("new"), false)
	m.put(k, storetest.Meta(k, 1, []byte("old")), []byte("old"), false)
	m.values.Wait()
	storetest.Expect(t, m, k, 2, []byte("new"))
}

func TestMemoryReplacedResponsesCostNothing(t *testing.T) {
	m := openedMemory(t)
	k, b := store.Key{ID: "a"}, storetest.Payload(1, 10_000)
	for id := range uint64(50) {
		m.put(k, storetest.Meta(k, id+1, b), b, false)
		m.values.Wait()
	}
	for id := uint64(50); id < 100; id++ {
		if err := m.Freshen(k, id, storetest.Meta(k, id+1, b)); err != nil {
			t.Fatal(err)
		}
		m.values.Wait()
	}
	if used, objects := m.used(); objects != 1 || used > 20_000 {
		t.Errorf("%d bytes in %d responses, want one of 10000", used, objects)
	}
}

// A copy made from the disk is refused when anything changed since the look-up
// that missed: it may be older than what was forgotten meanwhile.
func TestMemoryTicket(t *testing.T) {
	k := store.Key{ID: "a"}
	one, two := storetest.Meta(k, 1, []byte("1")), storetest.Meta(k, 2, []byte("2"))
	for _, tt := range []struct {
		rule  string
		since func(m *memory)
		want  []byte
		id    uint64
	}{
		{"nothing changed: taken", func(*memory) {}, []byte("1"), 1},
		{"a newer one was put and evicted", func(m *memory) { m.put(k, two, []byte("2"), false); m.shard(k.Sum()).drop(k.Sum(), 2) }, nil, 0},
		{"a newer one was put", func(m *memory) { m.put(k, two, []byte("2"), false) }, []byte("2"), 2},
		{"it was removed", func(m *memory) { m.forget(k.Sum()) }, nil, 0},
		{"somebody else promoted it", func(m *memory) {
			_, ticket := m.get(k, k.Sum())
			m.promote(ticket, k, one, []byte("1"))
		}, []byte("1"), 1},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			m := openedMemory(t)
			_, ticket := m.get(k, k.Sum())
			tt.since(m)
			s := m.promote(ticket, k, one, []byte("1"))
			if s.ID != 1 || !bytes.Equal(storetest.Bytes(t, s), []byte("1")) {
				t.Error("the reader does not get what it opened")
			}
			m.values.Wait()
			storetest.Expect(t, m, k, tt.id, tt.want)
		})
	}
}

// freshening on the disk, while memory has no copy, must also refuse a copy of
// the old Meta that is on its way.
func TestTiersFreshenRefusesACopyOfTheOldMeta(t *testing.T) {
	m := openedMemory(t)
	s := tiersOf(m, openedDisk(t, t.TempDir(), 1<<20))
	k, b := store.Key{ID: "a"}, []byte("body")
	storetest.Write(t, s.disk, k, storetest.Meta(k, 1, b), b)
	_, ticket := m.get(k, k.Sum())
	old := s.disk.Get(k)
	defer old.Release()
	if err := s.Freshen(k, 1, storetest.Meta(k, 2, b)); err != nil {
		t.Fatal(err)
	}
	m.promote(ticket, k, old.Meta, b)
	m.values.Wait()
	storetest.Expect(t, s, k, 2, b)
}

func TestMemoryTakesOnlySmallResponses(t *testing.T) {
	m := openedMemory(t)
	k := store.Key{ID: "a"}
	if _, err := m.Create(k, storetest.Meta(k, 1, nil), m.largest+1); err == nil {
		t.Error("a large response is begun")
	}
	w, err := m.Create(k, storetest.Meta(k, 1, nil), -1)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(make([]byte, m.largest)); err != nil || int64(n) != m.largest {
		t.Fatal(n, err)
	}
	if n, err := w.Write([]byte{1}); err == nil || n != 0 {
		t.Error("it grows without bound")
	}
	if err := w.Commit(storetest.Meta(k, 1, make([]byte, m.largest))); err == nil {
		t.Error("with its fields it is too large, and yet committed")
	}
	w.Abort()
	storetest.Expect(t, m, k, 0, nil)
}

func TestMemoryStaysWithinItsBudget(t *testing.T) {
	m := openedMemory(t)
	for i := range 2000 {
		k, b := store.Key{ID: fmt.Sprint(i)}, make([]byte, 20_000)
		m.put(k, storetest.Meta(k, 1, b), b, false)
		m.values.Wait()
	}
	used, objects := m.used()
	if used > 8<<20 || used < 4<<20 {
		t.Errorf("%d bytes of 8 MiB", used)
	}
	if int64(objects)*20_000 > used {
		t.Errorf("%d responses are remembered, %d bytes held: evicted ones must go", objects, used)
	}
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
	m.values.Wait()
	storetest.Expect(t, m, k, 1, b)
	storetest.Expect(t, m, large, 0, nil)

	have := s.Get(large)
	defer have.Release()
	if _, ok := have.Body.(*openEntry); !ok {
		t.Error("a large body is no file: no sendfile")
	}
}

func TestTiersHitInMemoryCountsOnDisk(t *testing.T) {
	s := tiersOf(openedMemory(t), openedDisk(t, t.TempDir(), 1<<20))
	k, b := store.Key{ID: "a"}, []byte("body")
	storetest.Write(t, s, k, storetest.Meta(k, 1, b), b)
	s.memory.values.Wait()
	for i := range 64 { // every shard has one, none of them is asked for
		other := store.Key{ID: fmt.Sprint("b", i)}
		for n := 0; other.Sum()[0]%64 != k.Sum()[0]%64; n++ {
			other.ID = fmt.Sprint("b", i, ".", n)
		}
		storetest.Write(t, s, other, storetest.Meta(other, uint64(i+2), b), b)
	}
	storetest.Expect(t, s, k, 1, b)
	for range 64 {
		if sum, _, ok := s.disk.index.Evict(); !ok || sum == k.Sum() {
			t.Fatal("what memory answers looks unused on disk, and is evicted before the rest")
		}
	}
}

// Without a disk tier memory has the only copy: a request that comes after a
// flight has ended must find it.
func TestMemoryIsVisibleAtCommit(t *testing.T) {
	m := openedMemory(t)
	for i := range 200 {
		k, b := store.Key{ID: fmt.Sprint(i)}, []byte("body")
		storetest.Write(t, m, k, storetest.Meta(k, 1, b), b)
		storetest.Expect(t, m, k, 1, b)
		if err := m.Freshen(k, 1, storetest.Meta(k, 2, b)); err != nil {
			t.Fatal(err)
		}
		storetest.Expect(t, m, k, 2, b)
	}
}

func TestTiersChecksWhatItPromotes(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	k, b := store.Key{ID: "a"}, storetest.Payload(1, 5000)
	storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
	storetest.Flip(t, d.path(k.Sum()), -100)
	s := tiersOf(openedMemory(t), d)
	storetest.Expect(t, s, k, 0, nil)
	if d.spoils.Load() != 1 {
		t.Errorf("%d spoiled, want 1", d.spoils.Load())
	}
	if _, err := os.Stat(d.path(k.Sum())); err == nil {
		t.Error("the bad file is still there")
	}
	storetest.Write(t, s, k, storetest.Meta(k, 2, b), b)
	s.memory.values.Wait()
	storetest.Expect(t, s, k, 2, b)
}

func TestLastIDGrows(t *testing.T) {
	var l lastID
	last := uint64(0)
	for _, now := range []time.Time{policytest.Epoch, policytest.Epoch, policytest.Epoch.Add(-time.Hour), policytest.Epoch.Add(time.Hour), policytest.Epoch} {
		id := l.next(now)
		if id <= last {
			t.Errorf("%d after %d", id, last)
		}
		last = id
	}
	l.saw(last + 1000) // a stored response's, of before the clock stepped back
	l.saw(3)
	if id := l.next(policytest.Epoch); id != last+1001 {
		t.Errorf("%d after %d was seen", id, last+1000)
	}
}
