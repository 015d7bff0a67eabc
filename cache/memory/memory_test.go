package memory

import (
	"bytes"
	"fmt"
	"testing"

	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// ristretto loses the second of two quick writes of a new key, so it must not decide which
// one is current.
func TestMemoryLastWriteWins(t *testing.T) {
	m := openedMemory(t)
	for i := range 200 {
		k := store.Key{ID: fmt.Sprint(i)}
		m.Put(k, storetest.Meta(k, 1, []byte("old")), []byte("old"), false)
		m.Put(k, storetest.Meta(k, 2, []byte("new")), []byte("new"), false)
		if s := m.Get(k); s != nil && s.Version != 2 {
			t.Fatalf("write %d: answers with the first", i)
		}
	}
	m.Wait()
	for i := range 200 {
		storetest.Expect(t, m, store.Key{ID: fmt.Sprint(i)}, 2, []byte("new"))
	}
}

// ristretto brings a deleted value back when writes are queued.
func TestMemoryForgottenStaysForgotten(t *testing.T) {
	m := openedMemory(t)
	for i := range 500 {
		k := store.Key{ID: fmt.Sprint(i)}
		m.Put(k, storetest.Meta(k, 1, []byte("x")), []byte("x"), false)
		m.Forget(k.Sum())
		storetest.Expect(t, m, k, 0, nil)
	}
	m.Wait()
	for i := range 500 {
		storetest.Expect(t, m, store.Key{ID: fmt.Sprint(i)}, 0, nil)
	}
	if _, objects := m.Usage().MemoryBytes, m.Usage().MemoryObjects; objects != 0 {
		t.Errorf("%d are remembered", objects)
	}
}

func TestMemoryOlderWriteIsRefused(t *testing.T) {
	m := openedMemory(t)
	k := store.Key{ID: "a"}
	m.Put(k, storetest.Meta(k, 2, []byte("new")), []byte("new"), false)
	m.Put(k, storetest.Meta(k, 1, []byte("old")), []byte("old"), false)
	m.Wait()
	storetest.Expect(t, m, k, 2, []byte("new"))
}

func TestMemoryReplacedResponsesCostNothing(t *testing.T) {
	m := openedMemory(t)
	k, b := store.Key{ID: "a"}, storetest.Payload(1, 10_000)
	for id := range uint64(50) {
		m.Put(k, storetest.Meta(k, id+1, b), b, false)
		m.Wait()
	}
	for id := uint64(50); id < 100; id++ {
		if err := m.Freshen(k, id, storetest.Meta(k, id+1, b)); err != nil {
			t.Fatal(err)
		}
		m.Wait()
	}
	if used, objects := m.Usage().MemoryBytes, m.Usage().MemoryObjects; objects != 1 || used > 20_000 {
		t.Errorf("%d bytes in %d responses, want one of 10000", used, objects)
	}
}

// A copy made from the disk is refused when anything changed since the look-up
// that missed: it may be older than a response forgotten meanwhile.
func TestMemoryTicket(t *testing.T) {
	k := store.Key{ID: "a"}
	one, two := storetest.Meta(k, 1, []byte("1")), storetest.Meta(k, 2, []byte("2"))
	for _, tt := range []struct {
		rule  string
		since func(m *Store)
		want  []byte
		id    uint64
	}{
		{"nothing changed: taken", func(*Store) {}, []byte("1"), 1},
		{"a newer one was put and evicted", func(m *Store) { m.Put(k, two, []byte("2"), false); m.shard(k.Sum()).drop(k.Sum(), 2) }, nil, 0},
		{"a newer one was put", func(m *Store) { m.Put(k, two, []byte("2"), false) }, []byte("2"), 2},
		{"it was removed", func(m *Store) { m.Forget(k.Sum()) }, nil, 0},
		{"somebody else promoted it", func(m *Store) {
			_, ticket := m.Lookup(k, k.Sum())
			m.Promote(ticket, k, one, []byte("1"))
		}, []byte("1"), 1},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			m := openedMemory(t)
			_, ticket := m.Lookup(k, k.Sum())
			tt.since(m)
			s := m.Promote(ticket, k, one, []byte("1"))
			if s.Version != 1 || !bytes.Equal(storetest.Bytes(t, s), []byte("1")) {
				t.Error("the reader does not get what it opened")
			}
			m.Wait()
			storetest.Expect(t, m, k, tt.id, tt.want)
		})
	}
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
		m.Put(k, storetest.Meta(k, 1, b), b, false)
		m.Wait()
	}
	used, objects := m.Usage().MemoryBytes, m.Usage().MemoryObjects
	if used > 8<<20 || used < 4<<20 {
		t.Errorf("%d bytes of 8 MiB", used)
	}
	if int64(objects)*20_000 > used {
		t.Errorf("%d responses are remembered, %d bytes held: evicted ones must go", objects, used)
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
