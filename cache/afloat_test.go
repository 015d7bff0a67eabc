package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"pkgedge/cache/budget"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// everythingGivenBack fails the test unless nothing is afloat or lent.
func everythingGivenBack(t *testing.T, m *memory, size int64) {
	t.Helper()
	m.values.Wait()
	if left, lent := m.afloat.Left.Load(), m.lent.Load(); left != size || lent != 0 {
		t.Errorf("%d bytes of %d are left, and %d lent", left, size, lent)
	}
}

func TestAfloatIsGivenBack(t *testing.T) {
	k := store.Key{Site: "s", ID: "a"}
	body := storetest.Payload(1, 100_000)
	for _, tt := range []struct {
		rule string
		do   func(t *testing.T, m *memory)
	}{
		{"a small body is committed", func(t *testing.T, m *memory) { storetest.Write(t, m, k, storetest.Meta(k, 1, body), body) }},
		{"its size was not known", func(t *testing.T, m *memory) {
			w, _ := m.Create(k, nil, -1)
			for part := range slices.Chunk(body, 7000) {
				w.Write(part)
			}
			if err := w.Commit(storetest.Meta(k, 1, body)); err != nil {
				t.Error(err)
			}
			w.Abort()
		}},
		{"it is aborted", func(t *testing.T, m *memory) {
			w, _ := m.Create(k, nil, int64(len(body)))
			w.Write(body)
			w.Abort()
			w.Abort()
		}},
		{"it is not what was promised", func(t *testing.T, m *memory) {
			w, _ := m.Create(k, nil, -1)
			w.Write(body[1:])
			if w.Commit(storetest.Meta(k, 1, body)) == nil {
				t.Error("committed")
			}
			w.Abort()
		}},
		{"it is freshened", func(t *testing.T, m *memory) {
			storetest.Write(t, m, k, storetest.Meta(k, 1, body), body)
			if err := m.Freshen(k, 1, storetest.Meta(k, 2, body)); err != nil {
				t.Error(err)
			}
		}},
		{"it is promoted from the disk", func(t *testing.T, m *memory) {
			s := tiersOf(m, openedDisk(t, t.TempDir(), 1<<20))
			storetest.Write(t, s.disk, k, storetest.Meta(k, 1, body), body)
			storetest.Expect(t, s, k, 1, body)
			storetest.Expect(t, s, k, 1, body)
		}},
		{"it goes to both tiers", func(t *testing.T, m *memory) {
			s := tiersOf(m, openedDisk(t, t.TempDir(), 1<<20))
			storetest.Write(t, s, k, storetest.Meta(k, 1, body), body)
		}},
		{"no tier takes it", func(t *testing.T, m *memory) {
			w := &heapWriter{memory: m}
			w.Write(storetest.Payload(2, 3*budget.BlockSize+5))
			w.Abort()
			w.Abort()
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			m := openedMemory(t)
			size := m.afloat.Left.Load()
			tt.do(t, m)
			everythingGivenBack(t, m, size)
		})
	}
}

// Where there is no room on the way to memory, nothing waits: the disk answers.
func TestAfloatFull(t *testing.T) {
	m := openedMemory(t)
	s := tiersOf(m, openedDisk(t, t.TempDir(), 1<<20))
	k, body := store.Key{ID: "a"}, storetest.Payload(1, 50_000)
	m.afloat.Take(m.afloat.Left.Load() - 10_000)
	storetest.Write(t, s, k, storetest.Meta(k, 1, body), body)
	have := s.Get(k)
	if have == nil || isMemory(have) || !bytes.Equal(storetest.Bytes(t, have), body) {
		t.Error("the disk does not answer")
	}
	have.Release()
	if _, err := m.Create(k, nil, int64(len(body))); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("err = %v; a body is begun that there is no room for", err)
	}
	w, err := m.Create(k, nil, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(body); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("err = %v; it grows beyond the room", err)
	}
}

// What no tier takes, the memory tier makes room for.
func TestHeapWriterIsLentWhatItNeeds(t *testing.T) {
	m := openedMemory(t)
	for i := range 1000 {
		k, b := store.Key{ID: fmt.Sprint(i)}, make([]byte, 20_000)
		m.put(k, storetest.Meta(k, 1, b), b, false)
		m.values.Wait()
	}
	full, _ := m.used()
	size := m.afloat.Left.Load()
	m.afloat.Take(size)
	body := storetest.Payload(1, int(m.share/2))
	w := &heapWriter{memory: m}
	if _, err := io.Copy(w, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	if used, objects := m.used(); used > full-int64(len(body))*9/10 || used < full-int64(len(body))*11/10 || int64(objects) > used/20_000 {
		t.Errorf("the tier has %d bytes in %d responses, and had %d before it lent %d", used, objects, full, len(body))
	}
	got := make([]byte, len(body))
	if _, err := w.ReadAt(got, 0); err != nil || !bytes.Equal(got, body) {
		t.Errorf("other bytes, %v", err)
	}
	if n, err := w.ReadAt(got, int64(len(body)-3)); n != 3 || err != io.EOF {
		t.Errorf("%d bytes at the end, %v", n, err)
	}
	if _, err := w.Write(body); err == nil {
		_, err = w.Write(body)
		if !errors.Is(err, store.ErrNoSpace) {
			t.Errorf("err = %v; it takes more than there is", err)
		}
	}
	w.Abort()
	m.afloat.Release(size)
	everythingGivenBack(t, m, size)
	if m.values.MaxCost() < m.share*63/64 {
		t.Errorf("the tier has %d bytes of %d when all is repaid", m.values.MaxCost(), m.share)
	}
}

func TestIndexOfTheDiskComesOutOfTheTier(t *testing.T) {
	m := openedMemory(t)
	m.beside = func() int64 { return m.share / 2 }
	k, b := store.Key{ID: "a"}, []byte("body")
	m.put(k, storetest.Meta(k, 1, b), b, false)
	if got := m.values.MaxCost(); got > m.share*33/64 {
		t.Errorf("the tier may hold %d bytes of %d", got, m.share)
	}
	if m.lend(m.share * 5 / 8) {
		t.Error("it lends what the index has")
	}
}

// With a broken disk and nothing left afloat, a large response that is held is
// still answered.
func TestHeldIsAnsweredWhenNothingIsLeft(t *testing.T) {
	c := opened(t, func(cfg *Config) { cfg.Memory = 64 << 20; cfg.Disk = 1 << 20 })
	text := string(storetest.Payload(1, 2<<20))
	left := c.memory.afloat.Left.Load()
	c.memory.afloat.Take(left)
	held := fetch(func(_ context.Context, _ Ask, fill *Fill) error { return hold(fill, map[string]string{"": text}) })
	expect(t, c, query("b", held), Missed, text)
	settle(c)
	c.memory.afloat.Release(left)
	everythingGivenBack(t, c.memory, left)
}

// isMemory says that a stored response came from memory.
func isMemory(e *store.Entry) bool {
	_, ok := e.Body.Bytes()
	return ok
}
