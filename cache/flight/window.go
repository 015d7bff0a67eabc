package flight

import "pkgedge/cache/budget"

// MaxWindow bounds the bytes that a fill keeps in memory when no tier takes them: the disk
// is full or failing, or the object is too large. All blocks but the first are counted in
// buffers.
const MaxWindow = 4 << 20

// window is the part of a body that is in memory only. The fill waits while it is full.
// Bytes leave it when every reader has passed them. A later reader cannot have them, and
// fetches for itself.
type window struct {
	start   int64 // the first byte's offset in the body
	size    int   // bytes in blocks
	blocks  []*budget.Block
	skip    int // of the first block, the bytes that have left
	buffers *budget.Buffers
}

func (w *window) has(off int64) bool {
	return off >= w.start && off < w.start+int64(w.size)
}

// copy copies the bytes from off on, to the end of a block at most.
func (w *window) copy(p []byte, off int64) int {
	at := w.skip + int(off-w.start)
	from := w.blocks[at/budget.BlockSize][at%budget.BlockSize:]
	return copy(p, from[:min(len(from), w.skip+w.size-at)])
}

// trim drops the bytes that every reader has passed, block by block.
func (w *window) trim(slowest int64) {
	n := int(min(max(0, slowest-w.start), int64(w.size)))
	w.start += int64(n)
	w.size -= n
	w.skip += n
	for w.skip >= budget.BlockSize && len(w.blocks) > 1 {
		w.release(w.blocks[0])
		w.blocks = w.blocks[1:]
		w.skip -= budget.BlockSize
	}
	if w.size == 0 {
		w.skip = 0
	}
}

func (w *window) release(c *budget.Block) {
	w.buffers.Recycle(c)
	if len(w.blocks) > 1 {
		w.buffers.Release(budget.BlockSize)
	}
}

// put appends the bytes that fit.
func (w *window) put(p []byte) (n int) {
	for n < len(p) {
		end := w.skip + w.size
		if end == len(w.blocks)*budget.BlockSize && !w.grow() {
			break
		}
		m := copy(w.blocks[end/budget.BlockSize][end%budget.BlockSize:], p[n:])
		w.size += m
		n += m
	}
	return n
}

func (w *window) grow() bool {
	switch {
	case len(w.blocks) == MaxWindow/budget.BlockSize:
		return false
	case len(w.blocks) > 0 && !w.buffers.Take(budget.BlockSize):
		return false
	}
	w.blocks = append(w.blocks, w.buffers.Block())
	return true
}

// drop releases all blocks.
func (w *window) drop() {
	for len(w.blocks) > 0 {
		w.release(w.blocks[0])
		w.blocks = w.blocks[1:]
	}
	w.blocks, w.size, w.skip = nil, 0, 0
}
