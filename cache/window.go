package cache

// maxWindow bounds the bytes that a fill keeps in memory when no tier takes
// them, because the disk is full, or broken, or the object too large.
const maxWindow = 4 << 20

// window holds the part of a body that is in memory only. The fill waits while
// it is full, and bytes leave it when every reader has passed them; a reader
// that comes later cannot have them, and fetches for itself.
type window struct {
	start int64
	buf   []byte
}

func (w *window) has(off int64) bool {
	return off >= w.start && off < w.start+int64(len(w.buf))
}

func (w *window) copy(p []byte, off int64) int { return copy(p, w.buf[off-w.start:]) }

// trim drops what every reader has passed, when that is a quarter of the window
// at least: the rest has to move.
func (w *window) trim(slowest int64) {
	if n := slowest - w.start; n >= maxWindow/4 {
		n = min(n, int64(len(w.buf)))
		w.buf = append(w.buf[:0], w.buf[n:]...)
		w.start += n
	}
}

// room is how many bytes fit.
func (w *window) room() int { return maxWindow - len(w.buf) }
