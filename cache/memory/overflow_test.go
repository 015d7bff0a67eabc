package memory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"pkgedge/cache/budget"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// everythingReleased fails the test unless no byte is in flight or borrowed.
func everythingReleased(t *testing.T, m *Store, size int64) {
	t.Helper()
	m.Wait()
	if left, lent := m.Buffers.Left.Load(), m.borrowed.Load(); left != size || lent != 0 {
		t.Errorf("%d bytes of %d are left, and %d lent", left, size, lent)
	}
}

// The memory tier evicts for a body that no tier takes.
func TestOverflowBorrowsWhatItNeeds(t *testing.T) {
	m := openedMemory(t)
	for i := range 1000 {
		k, b := store.Key{ID: fmt.Sprint(i)}, make([]byte, 20_000)
		m.Put(k, storetest.Meta(k, 1, b), b, false)
		m.Wait()
	}
	full := m.Usage().MemoryBytes
	size := m.Buffers.Left.Load()
	m.Buffers.Take(size)
	body := storetest.Payload(1, int(m.share/2))
	w := &Overflow{memory: m}
	if _, err := io.Copy(w, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	if used, objects := m.Usage().MemoryBytes, m.Usage().MemoryObjects; used > full-int64(len(body))*9/10 || used < full-int64(len(body))*11/10 || int64(objects) > used/20_000 {
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
	m.Buffers.Release(size)
	everythingReleased(t, m, size)
	if m.values.MaxCost() < m.share*63/64 {
		t.Errorf("the tier has %d bytes of %d when all is repaid", m.values.MaxCost(), m.share)
	}
}

func TestIndexOfTheDiskComesOutOfTheTier(t *testing.T) {
	m := openedMemory(t)
	m.indexOverhead = func() int64 { return m.share / 2 }
	k, b := store.Key{ID: "a"}, []byte("body")
	m.Put(k, storetest.Meta(k, 1, b), b, false)
	if got := m.values.MaxCost(); got > m.share*33/64 {
		t.Errorf("the tier may hold %d bytes of %d", got, m.share)
	}
	if m.Shrink(m.share * 5 / 8) {
		t.Error("it lends what the index has")
	}
}

func TestBuffersAreReleased(t *testing.T) {
	k := store.Key{Site: "s", ID: "a"}
	body := storetest.Payload(1, 100_000)
	for _, tt := range []struct {
		rule string
		do   func(t *testing.T, m *Store)
	}{
		{"a small body is committed", func(t *testing.T, m *Store) { storetest.Write(t, m, k, storetest.Meta(k, 1, body), body) }},
		{"its size was not known", func(t *testing.T, m *Store) {
			w, _ := m.Create(k, nil, -1)
			for part := range slices.Chunk(body, 7000) {
				w.Write(part)
			}
			if err := w.Commit(storetest.Meta(k, 1, body)); err != nil {
				t.Error(err)
			}
			w.Abort()
		}},
		{"it is aborted", func(t *testing.T, m *Store) {
			w, _ := m.Create(k, nil, int64(len(body)))
			w.Write(body)
			w.Abort()
			w.Abort()
		}},
		{"it is not what was promised", func(t *testing.T, m *Store) {
			w, _ := m.Create(k, nil, -1)
			w.Write(body[1:])
			if w.Commit(storetest.Meta(k, 1, body)) == nil {
				t.Error("committed")
			}
			w.Abort()
		}},
		{"it is freshened", func(t *testing.T, m *Store) {
			storetest.Write(t, m, k, storetest.Meta(k, 1, body), body)
			if err := m.Freshen(k, 1, storetest.Meta(k, 2, body)); err != nil {
				t.Error(err)
			}
		}},
		{"no tier takes it", func(t *testing.T, m *Store) {
			w := &Overflow{memory: m}
			w.Write(storetest.Payload(2, 3*budget.BlockSize+5))
			w.Abort()
			w.Abort()
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			m := openedMemory(t)
			size := m.Buffers.Left.Load()
			tt.do(t, m)
			everythingReleased(t, m, size)
		})
	}
}
