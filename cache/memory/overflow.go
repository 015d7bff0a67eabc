package memory

import (
	"io"
	"sync"

	"pkgedge/cache/budget"
	"pkgedge/cache/store"
)

// Overflow is a Writer for a response that no tier takes and that is released whole. When
// Buffers are used up it borrows from the memory tier: a full disk costs speed, and no
// answer.
type Overflow struct {
	memory *Store

	mu       sync.RWMutex
	blocks   []*budget.Block
	size     int64
	borrowed int64 // bytes borrowed from the tier
}

func (w *Overflow) Write(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n < len(p) {
		if w.size == int64(len(w.blocks))*budget.BlockSize {
			if err := w.grow(); err != nil {
				return n, err
			}
		}
		m := copy(w.blocks[len(w.blocks)-1][w.size%budget.BlockSize:], p[n:])
		w.size += int64(m)
		n += m
	}
	return n, nil
}

func (w *Overflow) grow() error {
	if len(w.blocks) > 0 && !w.memory.Buffers.Take(budget.BlockSize) {
		if !w.memory.Shrink(budget.BlockSize) {
			return store.ErrNoSpace
		}
		w.borrowed += budget.BlockSize
	}
	w.blocks = append(w.blocks, w.memory.Buffers.Block())
	return nil
}

func (w *Overflow) ReadAt(p []byte, off int64) (n int, err error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for n < len(p) && off < w.size {
		at := off % budget.BlockSize
		m := copy(p[n:], w.blocks[off/budget.BlockSize][at:min(budget.BlockSize, at+w.size-off)])
		n, off = n+m, off+int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (w *Overflow) Commit(*store.Meta) error { return store.ErrNoSpace }

func (w *Overflow) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.blocks {
		w.memory.Buffers.Recycle(c)
	}
	w.memory.Buffers.Release(int64(max(0, len(w.blocks)-1))*budget.BlockSize - w.borrowed)
	w.memory.Grow(w.borrowed)
	w.blocks, w.size, w.borrowed = nil, 0, 0
}

// Overflow returns a Writer for a body that no tier takes.
func (m *Store) Overflow() store.Writer { return &Overflow{memory: m} }
