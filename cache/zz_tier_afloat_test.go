package cache

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pkgedge/cache/budget"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

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
			w := &Overflow{memory: m}
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
