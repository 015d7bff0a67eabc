package cache

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"pkgedge/cache/policy/policytest"
)

// ristretto loses the second of two quick writes of a new key: what is current
// is not its to say.
func TestMemoryLastWriteWins(t *testing.T) {
	m := openedMemory(t)
	for i := range 200 {
		k := Key{ID: fmt.Sprint(i)}
		m.put(k, metaFor(k, 1, []byte("old")), []byte("old"), false)
		m.put(k, metaFor(k, 2, []byte("new")), []byte("new"), false)
		if s := m.Get(k); s != nil && s.ID != 2 {
			t.Fatalf("write %d: answers with the first", i)
		}
	}
	m.values.Wait()
	for i := range 200 {
		expectStored(t, m, Key{ID: fmt.Sprint(i)}, 2, []byte("new"))
	}
}

// ristretto brings a deleted value back when writes are queued.
func TestMemoryForgottenStaysForgotten(t *testing.T) {
	m := openedMemory(t)
	for i := range 500 {
		k := Key{ID: fmt.Sprint(i)}
		m.put(k, metaFor(k, 1, []byte("x")), []byte("x"), false)
		m.forget(k.sum())
		expectStored(t, m, k, 0, nil)
	}
	m.values.Wait()
	for i := range 500 {
		expectStored(t, m, Key{ID: fmt.Sprint(i)}, 0, nil)
	}
	if _, objects := m.used(); objects != 0 {
		t.Errorf("%d are remembered", objects)
	}
}

func TestMemoryOlderWriteIsRefused(t *testing.T) {
	m := openedMemory(t)
	k := Key{ID: "a"}
	m.put(k, metaFor(k, 2, []byte("new")), []byte("new"), false)
	m.put(k, metaFor(k, 1, []byte("old")), []byte("old"), false)
	m.values.Wait()
	expectStored(t, m, k, 2, []byte("new"))
}

func TestMemoryReplacedResponsesCostNothing(t *testing.T) {
	m := openedMemory(t)
	k, b := Key{ID: "a"}, payload(1, 10_000)
	for id := range uint64(50) {
		m.put(k, metaFor(k, id+1, b), b, false)
		m.values.Wait()
	}
	for id := uint64(50); id < 100; id++ {
		if err := m.Freshen(k, id, metaFor(k, id+1, b)); err != nil {
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
	k := Key{ID: "a"}
	one, two := metaFor(k, 1, []byte("1")), metaFor(k, 2, []byte("2"))
	for _, tt := range []struct {
		rule  string
		since func(m *memory)
		want  []byte
		id    uint64
	}{
		{"nothing changed: taken", func(*memory) {}, []byte("1"), 1},
		{"a newer one was put and evicted", func(m *memory) { m.put(k, two, []byte("2"), false); m.shard(k.sum()).drop(k.sum(), 2) }, nil, 0},
		{"a newer one was put", func(m *memory) { m.put(k, two, []byte("2"), false) }, []byte("2"), 2},
		{"it was removed", func(m *memory) { m.forget(k.sum()) }, nil, 0},
		{"somebody else promoted it", func(m *memory) {
			_, ticket := m.get(k, k.sum())
			m.promote(ticket, k, one, []byte("1"))
		}, []byte("1"), 1},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			m := openedMemory(t)
			_, ticket := m.get(k, k.sum())
			tt.since(m)
			s := m.promote(ticket, k, one, []byte("1"))
			if s.ID != 1 || !bytes.Equal(bytesOf(t, s), []byte("1")) {
				t.Error("the reader does not get what it opened")
			}
			m.values.Wait()
			expectStored(t, m, k, tt.id, tt.want)
		})
	}
}

// freshening on the disk, while memory has no copy, must also refuse a copy of
// the old Meta that is on its way.
func TestTiersFreshenRefusesACopyOfTheOldMeta(t *testing.T) {
	m := openedMemory(t)
	s := tiersOf(m, openedDisk(t, t.TempDir(), 1<<20))
	k, b := Key{ID: "a"}, []byte("body")
	write(t, s.disk, k, metaFor(k, 1, b), b)
	_, ticket := m.get(k, k.sum())
	old := s.disk.Get(k)
	defer old.Release()
	if err := s.Freshen(k, 1, metaFor(k, 2, b)); err != nil {
		t.Fatal(err)
	}
	m.promote(ticket, k, old.Meta, b)
	m.values.Wait()
	expectStored(t, s, k, 2, b)
}

func TestMemoryTakesOnlySmallResponses(t *testing.T) {
	m := openedMemory(t)
	k := Key{ID: "a"}
	if _, err := m.Create(k, metaFor(k, 1, nil), m.largest+1); err == nil {
		t.Error("a large response is begun")
	}
	w, err := m.Create(k, metaFor(k, 1, nil), -1)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(make([]byte, m.largest)); err != nil || int64(n) != m.largest {
		t.Fatal(n, err)
	}
	if n, err := w.Write([]byte{1}); err == nil || n != 0 {
		t.Error("it grows without bound")
	}
	if err := w.Commit(metaFor(k, 1, make([]byte, m.largest))); err == nil {
		t.Error("with its fields it is too large, and yet committed")
	}
	w.Abort()
	expectStored(t, m, k, 0, nil)
}

func TestMemoryStaysWithinItsBudget(t *testing.T) {
	m := openedMemory(t)
	for i := range 2000 {
		k, b := Key{ID: fmt.Sprint(i)}, make([]byte, 20_000)
		m.put(k, metaFor(k, 1, b), b, false)
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
	k, b := Key{ID: "a"}, payload(1, 5000)
	large := Key{ID: "large"}
	huge := payload(2, 200_000)
	write(t, d, k, metaFor(k, 1, b), b)
	write(t, d, large, metaFor(large, 2, huge), huge)

	m := openedMemory(t) // as after a restart
	s := tiersOf(m, d)
	expectStored(t, s, k, 1, b)
	expectStored(t, s, large, 2, huge)
	m.values.Wait()
	expectStored(t, m, k, 1, b)
	expectStored(t, m, large, 0, nil)

	have := s.Get(large)
	defer have.Release()
	if have.file == nil {
		t.Error("a large body is no file: no sendfile")
	}
}

func TestTiersHitInMemoryCountsOnDisk(t *testing.T) {
	s := tiersOf(openedMemory(t), openedDisk(t, t.TempDir(), 1<<20))
	k, b := Key{ID: "a"}, []byte("body")
	write(t, s, k, metaFor(k, 1, b), b)
	s.memory.values.Wait()
	for i := range 64 { // every shard has one, none of them is asked for
		other := Key{ID: fmt.Sprint("b", i)}
		for n := 0; other.sum()[0]%64 != k.sum()[0]%64; n++ {
			other.ID = fmt.Sprint("b", i, ".", n)
		}
		write(t, s, other, metaFor(other, uint64(i+2), b), b)
	}
	expectStored(t, s, k, 1, b)
	for range 64 {
		if sum, _, ok := s.disk.index.Evict(); !ok || sum == k.sum() {
			t.Fatal("what memory answers looks unused on disk, and is evicted before the rest")
		}
	}
}

// Without a disk tier memory has the only copy: a request that comes after a
// flight has ended must find it.
func TestMemoryIsVisibleAtCommit(t *testing.T) {
	m := openedMemory(t)
	for i := range 200 {
		k, b := Key{ID: fmt.Sprint(i)}, []byte("body")
		write(t, m, k, metaFor(k, 1, b), b)
		expectStored(t, m, k, 1, b)
		if err := m.Freshen(k, 1, metaFor(k, 2, b)); err != nil {
			t.Fatal(err)
		}
		expectStored(t, m, k, 2, b)
	}
}

func TestTiersChecksWhatItPromotes(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	k, b := Key{ID: "a"}, payload(1, 5000)
	write(t, d, k, metaFor(k, 1, b), b)
	flip(t, d.path(k.sum()), -100)
	s := tiersOf(openedMemory(t), d)
	expectStored(t, s, k, 0, nil)
	if d.spoils.Load() != 1 {
		t.Errorf("%d spoiled, want 1", d.spoils.Load())
	}
	if _, err := os.Stat(d.path(k.sum())); err == nil {
		t.Error("the bad file is still there")
	}
	write(t, s, k, metaFor(k, 2, b), b)
	s.memory.values.Wait()
	expectStored(t, s, k, 2, b)
}

// flip changes one byte of a file, counted from its end when negative.
func flip(t *testing.T, path string, at int) {
	t.Helper()
	f, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += len(f)
	}
	f[at] ^= 1
	if err := os.WriteFile(path, f, 0o600); err != nil {
		t.Fatal(err)
	}
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
