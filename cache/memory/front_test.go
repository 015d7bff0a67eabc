package memory

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"pkgedge/cache/budget"
	"pkgedge/cache/store"
)

func opened(t testing.TB) *Store {
	t.Helper()
	m, err := New(budget.Split(64<<20), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func meta(k store.Key, id uint64, size int64) *store.Meta {
	return &store.Meta{Site: k.Site, Key: k.ID, Version: id, Parts: []store.Part{{Size: size}}}
}

// After any end of a response, the front does not answer with it any more, and does not keep
// its bytes.
func TestFrontForgets(t *testing.T) {
	k := store.Key{Site: "s", ID: "a"}
	for name, end := range map[string]func(m *Store){
		"a newer one":           func(m *Store) { m.Put(k, meta(k, 2, 1), []byte("2"), false) },
		"forgotten":             func(m *Store) { m.Forget(k.Sum()) },
		"removed":               func(m *Store) { m.Remove(k, 1) },
		"freshened":             func(m *Store) { m.Freshen(k, 1, meta(k, 2, 1)) },
		"a copy of a newer one": func(m *Store) { m.Promote(0, k, meta(k, 2, 1), []byte("2")); m.Wait(); m.Forget(k.Sum()) },
		"evicted":               func(m *Store) { m.shard(k.Sum()).drop(k.Sum(), 1); m.values.Del(slot(k.Sum(), 1)) },
		"saved":                 func(m *Store) { r, _ := m.Lookup(k, k.Sum()); m.Saved(r) },
	} {
		t.Run(name, func(t *testing.T) {
			m := opened(t)
			m.Put(k, meta(k, 1, 1), []byte("1"), true)
			m.Wait()
			if m.Hit(k) != nil {
				t.Fatal("the front knows what nobody looked up")
			}
			r, _ := m.Lookup(k, k.Sum())
			if r == nil || m.Hit(k) != r {
				t.Fatal("not in the front after a look-up")
			}
			end(m)
			m.Wait()
			if have := m.Hit(k); have != nil {
				t.Errorf("answers with the response %d", have.Version)
			}
			if have := m.front.slot(k).Load(); have == r {
				t.Error("keeps its bytes")
			}
			m.front.put(r, r.generation.Load()) // by a look-up that found it before
			if m.Hit(k) != nil || m.front.slot(k).Load() != nil {
				t.Error("a late look-up brings it back")
			}
		})
	}
}

// A response stops being current under the shard's lock, and leaves ristretto and the front
// a moment later. In between the front does not answer with it.
func TestFrontDoesNotWaitForRistretto(t *testing.T) {
	m := opened(t)
	k := store.Key{Site: "s", ID: "a"}
	m.Put(k, meta(k, 1, 1), []byte("1"), false)
	m.Wait()
	r, _ := m.Lookup(k, k.Sum())
	if m.Hit(k) != r {
		t.Fatal("not in the front after a look-up")
	}
	m.shard(k.Sum()).drop(k.Sum(), 1) // as Put, Remove and Forget begin
	if _, ok := m.values.Get(slot(k.Sum(), 1)); !ok || m.front.slot(k).Load() != r {
		t.Fatal("it has left already")
	}
	if m.Hit(k) != nil {
		t.Error("the front answers with a response that is not current")
	}
}

func TestFrontTellsKeysApart(t *testing.T) {
	m := opened(t)
	k, other := store.Key{Site: "s", ID: "a"}, store.Key{Site: "t", ID: "a"}
	m.Put(k, meta(k, 1, 1), []byte("1"), false)
	m.Wait()
	r, _ := m.Lookup(k, k.Sum())
	m.front.slot(other).Store(r) // as if both had one slot
	if m.Hit(other) != nil {
		t.Error("answers with another key's response")
	}
}

// While a key is written again and again, no look-up finds a response that was replaced
// before the look-up.
func TestFrontWhileWriting(t *testing.T) {
	m := opened(t)
	k := store.Key{Site: "s", ID: "a"}
	var committed atomic.Uint64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for least := uint64(0); least < 3000; least = committed.Load() {
				if e := m.Get(k); e != nil && e.Version < least {
					t.Errorf("found %d after %d was committed", e.Version, least)
					return
				}
			}
		})
	}
	for id := range uint64(3000) {
		m.Put(k, meta(k, id+1, 1), []byte("x"), false)
		committed.Store(id + 1)
	}
	wg.Wait()
}

func BenchmarkHit(b *testing.B) {
	m := opened(b)
	keys := make([]store.Key, 512)
	for i := range keys {
		keys[i] = store.Key{Site: "s", ID: fmt.Sprint("packument/name-", i)}
		m.Put(keys[i], meta(keys[i], 1, 4096), make([]byte, 4096), false)
		m.Wait()
	}
	for _, bm := range []struct {
		name string
		n    int
	}{{"one key", 1}, {"many keys", len(keys)}} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if m.Get(keys[i%bm.n]) == nil {
						b.Error("a miss")
						return
					}
				}
			})
		})
	}
}
