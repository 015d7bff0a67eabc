package memory

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"pkgedge/cache/store"
)

func (m *Store) Create(k store.Key, _ *store.Meta, size int64) (store.Writer, error) {
	w := &memoryWriter{memory: m, key: k}
	if size > m.largest || !w.grow(max(size, 0)) {
		return nil, store.ErrNoSpace
	}
	return w, nil
}

// memoryWriter collects a small body.
type memoryWriter struct {
	memory *Store
	key    store.Key

	mu       sync.RWMutex
	data     []byte
	inFlight int64 // bytes reserved in Buffers
}

// grow extends data to a capacity of size bytes. w.mu is held, or no other goroutine has w.
func (w *memoryWriter) grow(size int64) bool {
	if size <= int64(cap(w.data)) {
		return true
	}
	data := slices.Grow(w.data, int(size)-len(w.data))
	if more := int64(cap(data)) - w.inFlight; !w.memory.Buffers.Take(more) {
		return false
	}
	w.inFlight = int64(cap(data))
	w.data = data
	return true
}

func (w *memoryWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if size := int64(len(w.data) + len(p)); size > w.memory.largest || !w.grow(size) {
		return 0, store.ErrNoSpace
	}
	w.data = append(w.data, p...)
	return len(p), nil
}

func (w *memoryWriter) ReadAt(p []byte, off int64) (int, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return readAt(w.data, p, off)
}

func (w *memoryWriter) Commit(m *store.Meta) error {
	if !w.memory.Fits(m) {
		return store.ErrNoSpace
	}
	if m.Size() != int64(len(w.data)) {
		return fmt.Errorf("cannot commit: %d bytes written, the parts have %d", len(w.data), m.Size())
	}
	data := w.data // no write comes after Commit
	if cap(data) > len(data)+len(data)/8 {
		data = bytes.Clone(data) // a kept body has no spare capacity
	}
	w.Abort()
	w.memory.Put(w.key, m, data, true)
	w.memory.Wait() // this is the only copy: the next request must find it in ristretto
	return nil
}

// Abort releases the bytes in flight. The written bytes can still be read.
func (w *memoryWriter) Abort() {
	w.memory.Buffers.Release(w.inFlight)
	w.inFlight = 0
}
