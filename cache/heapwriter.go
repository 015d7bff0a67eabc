package cache

import (
	"io"
	"sync"
)

// heapWriter is a Writer for a held response that no tier takes. It takes what
// the memory tier can spare when there is nothing else: a full disk costs speed
// and no answer.
type heapWriter struct {
	memory *memory

	mu    sync.RWMutex
	slabs []*slab
	size  int64
	lent  int64 // of its bytes, those that the tier spares
}

func (w *heapWriter) Write(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n < len(p) {
		if w.size == int64(len(w.slabs))*slabSize {
			if err := w.grow(); err != nil {
				return n, err
			}
		}
		m := copy(w.slabs[len(w.slabs)-1][w.size%slabSize:], p[n:])
		w.size += int64(m)
		n += m
	}
	return n, nil
}

func (w *heapWriter) grow() error {
	if len(w.slabs) > 0 && !w.memory.afloat.take(slabSize) {
		if !w.memory.lend(slabSize) {
			return errNoRoom
		}
		w.lent += slabSize
	}
	w.slabs = append(w.slabs, w.memory.afloat.slab())
	return nil
}

func (w *heapWriter) ReadAt(p []byte, off int64) (n int, err error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for n < len(p) && off < w.size {
		at := off % slabSize
		m := copy(p[n:], w.slabs[off/slabSize][at:min(slabSize, at+w.size-off)])
		n, off = n+m, off+int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (w *heapWriter) Commit(*Meta) error { return errNoRoom }

func (w *heapWriter) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.slabs {
		w.memory.afloat.recycle(c)
	}
	w.memory.afloat.give(int64(max(0, len(w.slabs)-1))*slabSize - w.lent)
	w.memory.repay(w.lent)
	w.slabs, w.size, w.lent = nil, 0, 0
}
