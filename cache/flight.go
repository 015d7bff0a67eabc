package cache

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// flight is one fetch and everyone who waits for it. The fill writes, readers
// read each at its own offset, and neither waits for the other: a reader that
// is slow or leaves changes nothing for the rest.
//
// States move one way: waiting, then headers, then done or failed; a held
// response goes from waiting to done at once.
type flight struct {
	id   flightKey
	born uint64 // the purge sequence when it began

	begun time.Time

	overflow func() store.Writer // for a body that no tier takes

	ctx    context.Context // the fill's own; never a request's
	cancel context.CancelCauseFunc

	mu         sync.Mutex
	state      state
	err        error        // why it failed
	interims   []interim    // 1xx responses so far
	meta       *store.Meta  // from headers on
	unkept     http.Header  // fields of the response that only its first reader gets
	stored     *store.Entry // the result when the response was already stored: validated, or found fresh
	result     result       // what happened at the origin
	writer     store.Writer // the bytes; nil without a tier that takes them
	overflowed bool         // the writer is one of overflow
	inStore    int64        // bytes readable in writer
	window     window       // the bytes after those
	readers    map[*reader]struct{}
	wake       chan struct{} // closed and replaced when there is news
	waiting    bool          // somebody holds wake
	over       bool          // the fill has ended
}

type state uint8

const (
	waiting state = iota
	headers
	done
	failed
)

// result is what a flight's answers tell about the origin.
type result struct {
	forward string // why it was asked; "" when it was not
	status  int
	kept    bool
	shared  bool // others than the first may have the response
	useful  bool // worth finishing when everybody has left
}

var (
	// errNotShared: the flight's response is not this request's to use.
	errNotShared = errors.New("response is not to be shared")
	// errPassed: a reader went back to bytes that are kept nowhere.
	errPassed = errors.New("bytes have passed")
	// errDeserted ends a fill whose response nobody reads or keeps.
	errDeserted = errors.New("every client left")
)

func newFlight(base context.Context, id flightKey, born uint64) *flight {
	f := &flight{id: id, born: born, begun: time.Now(), wake: make(chan struct{}), readers: make(map[*reader]struct{})}
	f.ctx, f.cancel = context.WithCancelCause(base)
	return f
}

// reader is one client's place in a flight's bytes.
type reader struct {
	flight *flight
	off    int64
}

// join adds a reader. ok is false when bytes it needs have gone.
func (f *flight) join() (*reader, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == failed || f.over && len(f.readers) == 0 || f.window.start > f.inStore {
		return nil, false
	}
	r := &reader{flight: f}
	f.readers[r] = struct{}{}
	return r, true
}

// mayBeMissing says that the answer is, or may turn out to be, that there is no
// such thing.
func (f *flight) mayBeMissing() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.meta == nil || policy.IsMissing(f.meta.Status)
}

// takes says whether a request may wait for the flight. Once the response is
// there, a request that comes later is given it only as it would be from the
// store (RFC 9111 section 4): a response that must be validated each time serves
// those who waited for it and nobody after.
func (f *flight) takes(q *Query) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.meta == nil || policy.Decide(time.Now(), &f.meta.Response, policy.NotMarked, q.Rule, q.Request) == policy.Fresh
}

func (r *reader) close() {
	r.leave()
	r.flight.letGo()
}

// leave gives up the reader's place.
func (r *reader) leave() {
	f := r.flight
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, r)
	f.news() // the window may have waited for this reader
	if len(f.readers) == 0 && !f.over && f.state == headers && !f.result.useful {
		f.cancel(errDeserted)
	}
}

// seek moves the reader. The fill may have waited for it to pass the bytes
// between.
func (r *reader) seek(off int64) {
	r.flight.mu.Lock()
	defer r.flight.mu.Unlock()
	r.off = off
	r.flight.news()
}

// letGo ends the writer once the fill and every reader have left. Removing a file
// can take long, and c.mu is held by who waits for f.mu, so neither is held then.
func (f *flight) letGo() {
	f.mu.Lock()
	if !f.over || len(f.readers) > 0 {
		f.mu.Unlock()
		return
	}
	writer, stored := f.writer, f.stored
	f.writer, f.stored = nil, nil
	f.window.drop()
	f.mu.Unlock()
	if writer != nil {
		writer.Abort()
	}
	stored.Release()
}

// interim is a 1xx response.
type interim struct {
	status int
	header http.Header
}

// await waits until there is something to answer with, and hands interim
// responses on meanwhile.
func (f *flight) await(ctx context.Context, tell func(int, http.Header)) error {
	told := 0
	for {
		f.mu.Lock()
		news, state, err := f.interims[told:], f.state, f.err
		f.waiting = true
		wake := f.wake
		f.mu.Unlock()
		told += len(news)
		for _, i := range news {
			if tell != nil {
				tell(i.status, i.header)
			}
		}
		if state == failed {
			return err
		}
		if state != waiting {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// finished waits for the end of the fill.
func (f *flight) finished(ctx context.Context) error {
	for {
		f.mu.Lock()
		over, err := f.over, f.err
		f.waiting = true
		wake := f.wake
		f.mu.Unlock()
		if over {
			return err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// failure is the error of a flight that failed.
func (f *flight) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// news wakes whoever waits for a change. f.mu is held.
func (f *flight) news() {
	if f.waiting {
		close(f.wake)
		f.wake = make(chan struct{})
		f.waiting = false
	}
}

// boundReader reads a flight's bytes for one client, and waits no longer than
// that client does.
type boundReader struct {
	ctx context.Context
	*reader
}

func (b *boundReader) Read(p []byte) (int, error) {
	f := b.flight
	for {
		f.mu.Lock()
		body := io.ReaderAt(f.writer)
		end := f.inStore
		if f.stored != nil {
			body, end = f.stored.Body, f.stored.Size()
		}
		switch {
		case b.off < end:
			f.mu.Unlock()
			n, err := body.ReadAt(p[:min(int64(len(p)), end-b.off)], b.off)
			f.mu.Lock()
			b.off += int64(n)
			f.mu.Unlock()
			if n > 0 {
				err = nil
			}
			return n, err
		case f.window.has(b.off):
			n := f.window.copy(p, b.off)
			b.off += int64(n)
			f.news()
			f.mu.Unlock()
			return n, nil
		case b.off < f.window.start:
			f.mu.Unlock()
			return 0, errPassed
		case f.state == done:
			f.mu.Unlock()
			return 0, io.EOF
		case f.state == failed:
			defer f.mu.Unlock()
			return 0, f.err
		}
		f.waiting = true
		wake := f.wake
		f.mu.Unlock()
		select {
		case <-wake:
		case <-b.ctx.Done():
			return 0, context.Cause(b.ctx)
		}
	}
}

// answer is one reader's answer.
func (f *flight) answer(q *Query, r *reader, leader bool, now time.Time) (*Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !leader && (!f.result.shared || !f.meta.Selects(q.Request.Header)) {
		return nil, errNotShared
	}
	part, ok := q.part(f.meta)
	if !ok {
		return nil, errNoVariant
	}
	a := &Answer{
		Meta: f.meta, Part: part, reader: r,
		Outcome: Missed, Forward: f.result.forward, ForwardStatus: f.result.status, Kept: f.result.kept,
		TTL: f.meta.TTL(now, q.Rule), Age: f.meta.Age(now),
	}
	if leader && len(f.unkept) > 0 {
		whole := *f.meta
		whole.Header = f.meta.Header.Clone()
		maps.Copy(whole.Header, f.unkept)
		a.Meta = &whole
	}
	switch {
	case f.stored != nil && f.result.forward == "":
		a.Outcome = Hit
	case !leader:
		a.Outcome = Collapsed
	case f.stored != nil:
		a.Outcome = Revalidated
	}
	return a, nil
}
