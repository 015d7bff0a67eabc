package cache

import (
	"context"
	"io"
	"net/http"

	"pkgedge/cache/store"
)

// The fill's side of a flight. One goroutine calls these.

func (f *flight) setWriter(w store.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writer = w
}

// setOverflow has the body of a held response go to memory that no tier counts.
func (f *flight) setOverflow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writer, f.overflowed = f.overflow(), true
}

// because records why the origin is asked.
func (f *flight) because(reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result.forward = reason
}

// setStatus records the origin's status where that is not the response's.
func (f *flight) setStatus(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result.status = status
}

// unkeep adds a field that only the first reader gets.
func (f *flight) unkeep(name string, values []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unkept == nil {
		f.unkept = make(http.Header)
	}
	f.unkept[name] = values
}

// maxInterim bounds the interim responses of one fetch that are passed on.
const maxInterim = 8

// tell passes an interim response on.
func (f *flight) tell(i interim) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == waiting && len(f.interims) < maxInterim {
		f.interims = append(f.interims, i)
		f.news()
	}
}

// notKept records that no tier takes the response after all.
func (f *flight) notKept() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result.kept, f.result.useful = false, false
}

// release lets readers begin.
func (f *flight) release(m *store.Meta) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.meta = m
	f.state = headers
	f.news()
	if len(f.readers) == 0 && !f.result.useful && !f.result.kept {
		f.cancel(errDeserted)
	}
}

// written is how many body bytes have been taken.
func (f *flight) written() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inStore + f.windowed()
}

func (f *flight) windowed() int64 {
	if f.window.start == 0 && f.window.size == 0 {
		return 0
	}
	return f.window.start + int64(f.window.size) - f.inStore
}

// write takes bytes of the body, into the store as long as that takes them and
// into the window from then on.
func (f *flight) write(p []byte, held bool, limit int64) error {
	if f.writer != nil && f.windowed() == 0 && (f.overflowed || f.inStore+int64(len(p)) <= limit) {
		n, err := f.writer.Write(p)
		f.mu.Lock()
		f.inStore += int64(n)
		f.news()
		f.mu.Unlock()
		if err == nil {
			return nil
		}
		p = p[n:]
	}
	if held {
		return f.toHeap(p)
	}
	f.notKept()
	return f.spill(p)
}

// toHeap moves a held response, which is bounded, into memory when the store
// fails under it: it was going to be released whole, so it still can.
func (f *flight) toHeap(p []byte) error {
	if f.overflowed {
		return store.ErrNoSpace
	}
	heap := f.overflow()
	size, err := io.Copy(heap, io.NewSectionReader(f.writer, 0, f.inStore))
	if err == nil {
		var n int
		n, err = heap.Write(p)
		size += int64(n)
	}
	f.mu.Lock()
	failed := f.writer
	f.writer, f.overflowed = heap, true
	f.inStore = size
	f.result.kept = false
	f.mu.Unlock()
	failed.Abort()
	return err
}

// spill puts bytes into the window, waiting for readers to make room. Without
// readers nobody could ever have them.
func (f *flight) spill(p []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.windowed() == 0 {
		f.window.start = f.inStore
	}
	f.result.useful = false
	for len(p) > 0 {
		if len(f.readers) == 0 {
			f.cancel(errDeserted)
			return errDeserted
		}
		n := f.window.put(p)
		if n == 0 {
			f.window.trim(f.slowest())
			n = f.window.put(p)
		}
		if n > 0 {
			p = p[n:]
			f.news()
			continue
		}
		f.waiting = true
		wake := f.wake
		f.mu.Unlock()
		select {
		case <-wake:
		case <-f.ctx.Done():
		}
		f.mu.Lock()
		if f.ctx.Err() != nil {
			return context.Cause(f.ctx)
		}
	}
	return nil
}

// slowest is the offset that every reader has passed. f.mu is held.
func (f *flight) slowest() int64 {
	low := f.window.start + int64(f.window.size)
	for r := range f.readers {
		low = min(low, r.off)
	}
	return low
}

// commit makes the response visible in the store, if it is to be kept.
func (f *flight) commit(m *store.Meta) {
	if !f.result.kept || f.writer == nil {
		return
	}
	if err := f.writer.Commit(m); err != nil {
		f.notKept()
	}
}

// finish ends a fill that succeeded.
func (f *flight) finish(m *store.Meta) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.meta = m
	f.end(done)
}

// finishStored ends a fill whose answer is a stored response, which the flight
// takes over.
func (f *flight) finishStored(s *store.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stored = s
	f.meta = s.Meta
	f.result.shared = true
	f.end(done)
}

// fail ends a fill that did not succeed.
func (f *flight) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.end(failed)
}

// end is for finish and fail; f.mu is held.
func (f *flight) end(s state) {
	f.state = s
	f.over = true
	f.news()
}
