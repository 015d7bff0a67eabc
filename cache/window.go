package cache

import "sync/atomic"

// maxWindow bounds the bytes that a fill keeps in memory when no tier takes
// them, because the disk is full, or broken, or the object too large. Beyond the
// first windowStep, all fills together are bounded as well.
const (
	maxWindow  = 4 << 20
	windowStep = 64 << 10
)

// window holds the part of a body that is in memory only. The fill waits while
// it is full, and bytes leave it when every reader has passed them; a reader
// that comes later cannot have them, and fetches for itself.
type window struct {
	start   int64
	buf     []byte
	granted int           // bytes it may hold
	left    *atomic.Int64 // what all windows of a cache may still be granted; nil is no bound
}

func (w *window) has(off int64) bool {
	return off >= w.start && off < w.start+int64(len(w.buf))
}

func (w *window) copy(p []byte, off int64) int { return copy(p, w.buf[off-w.start:]) }

// trim drops what every reader has passed, when that is a quarter of the window
// at least: the rest has to move.
func (w *window) trim(slowest int64) {
	if n := slowest - w.start; n > 0 && n >= int64(w.granted/4) {
		n = min(n, int64(len(w.buf)))
		w.buf = append(w.buf[:0], w.buf[n:]...)
		w.start += n
	}
}

// room is how many bytes fit.
func (w *window) room() int {
	if len(w.buf) == w.granted && w.grow() {
		w.granted += windowStep
	}
	return w.granted - len(w.buf)
}

func (w *window) grow() bool {
	switch {
	case w.granted == 0 || w.left == nil:
		return w.granted < maxWindow
	case w.granted == maxWindow:
		return false
	case w.left.Add(-windowStep) < 0:
		w.left.Add(windowStep)
		return false
	}
	return true
}

// drop lets go of everything.
func (w *window) drop() {
	if w.left != nil && w.granted > windowStep {
		w.left.Add(int64(w.granted - windowStep))
	}
	w.buf, w.granted = nil, 0
}
