package tier

import (
	"bytes"
	"errors"
	"testing"

	"pkgedge/cache/memory"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// Where there is no room on the way to memory, nothing waits: the disk answers.
func TestBuffersFull(t *testing.T) {
	m := openedMemory(t)
	s := tiersOf(m, openedDisk(t, t.TempDir(), 1<<20))
	k, body := store.Key{ID: "a"}, storetest.Payload(1, 50_000)
	m.Buffers.Take(m.Buffers.Left.Load() - 10_000)
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

func TestBuffersAreReleasedByBothTiers(t *testing.T) {
	k := store.Key{Site: "s", ID: "a"}
	body := storetest.Payload(1, 100_000)
	for _, tt := range []struct {
		rule string
		do   func(t *testing.T, m *memory.Store)
	}{
		{"it is promoted from the disk", func(t *testing.T, m *memory.Store) {
			s := tiersOf(m, openedDisk(t, t.TempDir(), 1<<20))
			storetest.Write(t, s.Disk, k, storetest.Meta(k, 1, body), body)
			storetest.Expect(t, s, k, 1, body)
			storetest.Expect(t, s, k, 1, body)
		}},
		{"it goes to both tiers", func(t *testing.T, m *memory.Store) {
			s := tiersOf(m, openedDisk(t, t.TempDir(), 1<<20))
			storetest.Write(t, s, k, storetest.Meta(k, 1, body), body)
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			m := openedMemory(t)
			size := m.Buffers.Left.Load()
			tt.do(t, m)
			m.Wait()
			if left := m.Buffers.Left.Load(); left != size {
				t.Errorf("%d bytes of %d are left", left, size)
			}
		})
	}
}

// isMemory says that a stored response came from memory.
func isMemory(e *store.Entry) bool {
	_, ok := e.Body.Bytes()
	return ok
}
