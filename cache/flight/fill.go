package flight

import (
	"context"
	"io"

	"pkgedge/cache/store"
)

// The methods of this file are the fill's side of a flight. One goroutine calls them.

// SetWriter sets the store's writer.
func (f *Flight) SetWriter(w store.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writer = w
}

// SetOverflow directs the body of a held response to an overflow writer.
func (f *Flight) SetOverflow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writer, f.overflowed = f.overflow(), true
}

// SetReason records why the origin is asked.
func (f *Flight) SetReason(reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head.Forward = reason
}

// BeginResponse records a response that arrives: the origin's status, the fields that only
// the first reader gets, whether it is stored, and whether other readers may have it.
func (f *Flight) BeginResponse(status int, uncached map[string][]string, kept, shared bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head.Status, f.head.Uncached, f.head.Kept, f.head.Shared = status, uncached, kept, shared
	f.finishWithoutReaders = kept
}

// SetFrom records the master that answers.
func (f *Flight) SetFrom(master string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head.From = master
}

// AddUncached adds a field that only the first reader gets.
func (f *Flight) AddUncached(name string, values []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.head.Uncached == nil {
		f.head.Uncached = make(map[string][]string)
	}
	f.head.Uncached[name] = values
}

// SetStatus records the origin's status where that is not the response's.
func (f *Flight) SetStatus(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head.Status = status
}

// MaxInterim bounds the interim responses of one fetch that are passed on.
const MaxInterim = 8

// Interim passes an interim response on.
func (f *Flight) Interim(status int, h map[string][]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == waiting && len(f.interims) < MaxInterim {
		f.interims = append(f.interims, interim{status, h})
		f.notify()
	}
}

// Uncache records that no tier takes the response after all.
func (f *Flight) Uncache() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head.Kept, f.finishWithoutReaders = false, false
}

// Publish publishes the Meta, so that readers begin.
func (f *Flight) Publish(m *store.Meta) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head.Meta = m
	f.state = headers
	f.notify()
	if len(f.readers) == 0 && !f.finishWithoutReaders && !f.head.Kept {
		f.Cancel(ErrDeserted)
	}
}

// Written is the number of body bytes so far.
func (f *Flight) Written() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inStore + f.windowed()
}

func (f *Flight) windowed() int64 {
	if f.window.start == 0 && f.window.size == 0 {
		return 0
	}
	return f.window.start + int64(f.window.size) - f.inStore
}

// Write adds bytes to the body, in the store's writer until it fails, and in the window from
// then on.
func (f *Flight) Write(p []byte, held bool, limit int64) error {
	if f.writer != nil && f.windowed() == 0 && (f.overflowed || f.inStore+int64(len(p)) <= limit) {
		n, err := f.writer.Write(p)
		f.mu.Lock()
		f.inStore += int64(n)
		f.notify()
		f.mu.Unlock()
		if err == nil {
			return nil
		}
		p = p[n:]
	}
	if held {
		return f.toHeap(p)
	}
	f.Release() // the window waits for readers
	f.Uncache()
	return f.spill(p)
}

// toHeap moves a held response, which is bounded, into an overflow writer when the store
// fails under it. No reader has begun, so it can still be released whole.
func (f *Flight) toHeap(p []byte) error {
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
	f.head.Kept = false
	f.mu.Unlock()
	failed.Abort()
	return err
}

// spill puts bytes into the window, and waits for readers while it is full. Without a reader
// the fill ends, because no later one could have the bytes.
func (f *Flight) spill(p []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.windowed() == 0 {
		f.window.start = f.inStore
	}
	f.finishWithoutReaders = false
	for len(p) > 0 {
		if len(f.readers) == 0 {
			f.Cancel(ErrDeserted)
			return ErrDeserted
		}
		n := f.window.put(p)
		if n == 0 {
			f.window.trim(f.slowest())
			n = f.window.put(p)
		}
		if n > 0 {
			p = p[n:]
			f.notify()
			continue
		}
		_ = f.sleep(f.Context)
		if err := context.Cause(f.Context); err != nil { // also where a reader woke the fill
			return err
		}
	}
	return nil
}

// slowest is the offset that every reader has passed. f.mu is held.
func (f *Flight) slowest() int64 {
	low := f.window.start + int64(f.window.size)
	for r := range f.readers {
		low = min(low, r.off)
	}
	return low
}

// Commit makes the response visible in the store, unless it is uncached.
func (f *Flight) Commit(m *store.Meta) {
	if !f.head.Kept || f.writer == nil {
		return
	}
	if err := f.writer.Commit(m); err != nil {
		f.Uncache()
	}
}

// Finish ends a fill that succeeded.
func (f *Flight) Finish(m *store.Meta) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head.Meta = m
	f.finish(done)
}

// FinishStored ends a fill whose answer is a stored response. The flight releases it.
func (f *Flight) FinishStored(s *store.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head.Stored = s
	f.head.Meta = s.Meta
	f.head.Shared = true
	f.finish(done)
}

// Fail ends a fill that did not succeed.
func (f *Flight) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.finish(failed)
}

// finish ends the fill in a state. f.mu is held.
func (f *Flight) finish(s state) {
	f.state = s
	f.spooled = nil
	f.finished = true
	f.notify()
}
