package proxy

import (
	"context"
	"io"
	"sync"
)

// maxPending bounds the bytes that wait for the writer behind a LogWriter. There are twice as
// many in memory while it writes.
const maxPending = 1 << 20

// LogWriter writes lines behind the requests that leave them, for the access logs of several
// snapshots at once. A full pipe stalls no client: lines for which there is no room are
// dropped, and counted. A goroutine writes while there is anything to write.
type LogWriter struct {
	to io.Writer

	mu      sync.Mutex // not held while to is written to
	pending []byte
	spare   []byte        // the buffer that was written last
	idle    chan struct{} // closed when all is written; nil while nothing is
	dropped int64
}

// NewLogWriter writes to another writer.
func NewLogWriter(to io.Writer) *LogWriter { return &LogWriter{to: to} }

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
	return len(line), nil
}

// write writes until there is nothing left.
func (w *LogWriter) write() {
	for lines := w.take(); lines != nil; lines = w.take() {
		_, _ = w.to.Write(lines) // there is no other place to tell of it
	}
}

// take returns the pending lines, nil when there are none.
func (w *LogWriter) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.pending
	if len(lines) == 0 {
		close(w.idle)
		w.idle = nil
		return nil
	}
	w.pending, w.spare = w.spare[:0], lines
	return lines
}

// Flush waits until all lines are written, or ctx is done.
func (w *LogWriter) Flush(ctx context.Context) {
	w.mu.Lock()
	idle := w.idle
	w.mu.Unlock()
	if idle == nil {
		return
	}
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
