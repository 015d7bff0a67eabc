package proxy

import (
	"context"
	"io"
	"sync"
	"time"
)

// maxPending bounds the bytes that wait for the writer behind a LogWriter. There are twice as
// many in memory while it writes.
const maxPending = 1 << 20

// A write takes a system call and wakes a reader, which costs as much as a hit. So lines are
// written together: after gather, or when there are gatherBytes.
const (
	gather      = 50 * time.Millisecond
	gatherBytes = 64 << 10
)

// LogWriter writes lines behind the requests that leave them, for the access logs of several
// snapshots at once. A full pipe stalls no client: lines for which there is no room are
// dropped, and counted. A goroutine writes while there is anything to write.
type LogWriter struct {
	to  io.Writer
	now chan struct{} // has one where the lines are to be written without waiting

	mu      sync.Mutex // not held while to is written to
	pending []byte
	spare   []byte        // the buffer that was written last
	idle    chan struct{} // closed when all is written; nil while nothing is
	dropped int64
}

// NewLogWriter writes to another writer.
func NewLogWriter(to io.Writer) *LogWriter { return &LogWriter{to: to, now: make(chan struct{}, 1)} }

// Write takes a line. It never waits, and never fails.
func (w *LogWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending)+len(line) > maxPending {
		w.dropped++
		return len(line), nil
	}
	w.pending = append(w.pending, line...)
	if w.idle == nil {
		w.idle = make(chan struct{})
		go w.write()
	}
	if len(w.pending) >= gatherBytes {
		w.hurry()
	}
	return len(line), nil
}

// hurry has the lines written without waiting for more.
func (w *LogWriter) hurry() {
	select {
	case w.now <- struct{}{}:
	default:
	}
}

// write writes until there is nothing left.
func (w *LogWriter) write() {
	for more := true; more; more = w.more() {
		wait := time.NewTimer(gather)
		select {
		case <-w.now:
		case <-wait.C:
		}
		wait.Stop()
		_, _ = w.to.Write(w.take()) // there is no other place to tell of a failure
	}
}

// take returns the pending lines.
func (w *LogWriter) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.pending
	w.pending, w.spare = w.spare[:0], lines
	return lines
}

// more reports whether lines have come meanwhile. When there are none, the writer ends.
func (w *LogWriter) more() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) > 0 {
		return true
	}
	close(w.idle)
	w.idle = nil
	return false
}

// Flush waits until all lines are written, or ctx is done.
func (w *LogWriter) Flush(ctx context.Context) {
	w.mu.Lock()
	idle := w.idle
	w.mu.Unlock()
	if idle == nil {
		return
	}
	w.hurry()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// Dropped is how many lines were dropped.
func (w *LogWriter) Dropped() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}
