package flight

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"pkgedge/cache/budget"
	"pkgedge/cache/store"
)

// Key names a flight: the stored response that it fills, and the range where it
// fetches only that.
type Key struct{ Site, ID, Part string }

// Flight is one fetch and the readers that wait for it. The fill writes, and readers read
// each at its own offset. A reader that is slow or leaves changes nothing for the others.
//
// States move one way: waiting, then headers, then done or failed; a held
// response goes from waiting to done at once.
type Flight struct {
	Key        Key
	PurgeEpoch uint64 // the purge sequence when it began

	Begun time.Time

	overflow func() store.Writer // for a body that no tier takes

	Context context.Context // the fill's own; never a request's
	Cancel  context.CancelCauseFunc

	mu                   sync.Mutex
	state                state
	err                  error     // why it failed
	interims             []interim // 1xx responses so far
	head                 Head
	finishWithoutReaders bool         // the response is worth finishing when every reader has left
	writer               store.Writer // the bytes; nil without a tier that takes them
	overflowed           bool         // the writer is one of overflow
	spooled              *store.Meta  // to be published at Release; nil for none
	inStore              int64        // bytes readable in writer
	window               window       // the bytes after those
	readers              map[*Reader]struct{}
	wake                 chan struct{} // closed and replaced when something changes
	waiting              bool          // wake has a waiter
	finished             bool          // the fill has ended
}

type state uint8

const (
	waiting state = iota
	headers
	done
	failed
)

// Head is the published part of a flight's response.
type Head struct {
	Meta     *store.Meta         // from headers on; nil before
	Stored   *store.Entry        // the response when it was stored already: validated, or found fresh
	Uncached map[string][]string // fields of the response that only its first reader gets

	Forward string // why the origin was asked; "" when it was not
	Status  int    // of the origin's response
	From    string // the master that gave it; "" where it is not known
	Kept    bool   // the response is stored
	Shared  bool   // others than the first reader may have the response
}

var (
	// ErrPassed reports that a reader went back to bytes that have left the window.
	ErrPassed = errors.New("bytes have passed")
	// ErrDeserted ends a fill whose response has no reader and is not stored.
	ErrDeserted = errors.New("every client left")
)

// New makes a flight whose fill ends with base. Its bytes in memory are counted by
// buffers, and overflow makes the writer of a held response that no tier takes.
func New(base context.Context, id Key, purgeEpoch uint64, buffers *budget.Buffers, overflow func() store.Writer) *Flight {
	f := &Flight{Key: id, PurgeEpoch: purgeEpoch, Begun: time.Now(), wake: make(chan struct{}), readers: make(map[*Reader]struct{}), overflow: overflow}
	f.window.buffers = buffers
	f.Context, f.Cancel = context.WithCancelCause(base)
	return f
}

// Reader is one client's offset in a flight's bytes.
type Reader struct {
	flight *Flight
	off    int64
}

// Join adds a reader. It is false when bytes that the reader needs have left.
func (f *Flight) Join() (*Reader, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == failed || f.finished && len(f.readers) == 0 || f.window.start > f.inStore {
		return nil, false
	}
	r := &Reader{flight: f}
	f.readers[r] = struct{}{}
	return r, true
}

func (r *Reader) Close() {
	r.removeReader()
	r.flight.Drop()
}

// removeReader takes the reader off the flight.
func (r *Reader) removeReader() {
	f := r.flight
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, r)
	f.notify() // the window may have waited for this reader
	if len(f.readers) == 0 && !f.finished && f.state == headers && !f.finishWithoutReaders {
		f.Cancel(ErrDeserted)
	}
}

// seek moves the reader. The fill may have waited for it to pass the bytes
// between.
func (r *Reader) seek(off int64) {
	r.flight.mu.Lock()
	defer r.flight.mu.Unlock()
	r.off = off
	r.flight.notify()
}

// Drop ends the writer once the fill and every reader have left. It releases
// f.mu first, because removing a file can take long, and others wait for f.mu under a lock.
func (f *Flight) Drop() {
	f.mu.Lock()
	if !f.finished || len(f.readers) > 0 {
		f.mu.Unlock()
		return
	}
	writer, stored := f.writer, f.head.Stored
	f.writer, f.head.Stored = nil, nil
	if f.window.blocks != nil {
		f.window.drop()
	}
	f.mu.Unlock()
	if writer != nil {
		writer.Abort()
	}
	stored.Release()
}

// interim is a 1xx response.
type interim struct {
	status int
	header map[string][]string
}

// Await waits for the response's headers or the fill's failure, and passes interim
// responses on meanwhile.
func (f *Flight) Await(ctx context.Context, passInterim func(int, map[string][]string)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for passed := 0; ; {
		if arrived := f.interims[passed:]; len(arrived) > 0 {
			passed += len(arrived)
			f.unlocked(func() {
				for _, i := range arrived {
					passInterim(i.status, i.header)
				}
			})
			continue
		}
		if f.state != waiting {
			return f.err
		}
		if err := f.sleep(ctx); err != nil {
			return err
		}
	}
}

// Wait waits for the end of the fill.
func (f *Flight) Wait(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.finished {
		if err := f.sleep(ctx); err != nil {
			return err
		}
	}
	return f.err
}

// sleep waits for a change, or for ctx to end, whose cause is the error. f.mu is held, but
// not meanwhile.
func (f *Flight) sleep(ctx context.Context) (err error) {
	f.waiting = true
	wake := f.wake
	f.unlocked(func() {
		select {
		case <-wake:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	})
	return err
}

// unlocked calls do without f.mu, which is held before and after.
func (f *Flight) unlocked(do func()) {
	f.mu.Unlock()
	defer f.mu.Lock()
	do()
}

// Head returns the present head.
func (f *Flight) Head() Head {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head
}

// Err is the error of a flight that failed.
func (f *Flight) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// notify wakes the goroutines that wait for a change. f.mu is held.
func (f *Flight) notify() {
	if f.waiting {
		close(f.wake)
		f.wake = make(chan struct{})
		f.waiting = false
	}
}

// From reads the flight's bytes from off on, and waits no longer than ctx.
func (r *Reader) From(ctx context.Context, off int64) io.Reader {
	r.seek(off)
	return &boundReader{ctx, r}
}

// boundReader reads a flight's bytes for one client, until the client's ctx ends.
type boundReader struct {
	ctx context.Context
	*Reader
}

func (b *boundReader) Read(p []byte) (n int, err error) {
	f := b.flight
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		body := io.ReaderAt(f.writer)
		end := f.inStore
		if f.head.Stored != nil {
			body, end = f.head.Stored.Body, f.head.Stored.Size()
		}
		switch {
		case b.off < end:
			f.unlocked(func() { n, err = body.ReadAt(p[:min(int64(len(p)), end-b.off)], b.off) })
			b.off += int64(n)
			if n > 0 {
				err = nil
			}
			return n, err
		case f.window.has(b.off):
			n = f.window.copy(p, b.off)
			b.off += int64(n)
			f.notify()
			return n, nil
		case b.off < f.window.start:
			return 0, ErrPassed
		case f.state == done:
			return 0, io.EOF
		case f.state == failed:
			return 0, f.err
		}
		if err := f.sleep(b.ctx); err != nil {
			return 0, err
		}
	}
}

// Whole is the key without the range that is fetched.
func (id Key) Whole() Key { return Key{id.Site, id.ID, ""} }
