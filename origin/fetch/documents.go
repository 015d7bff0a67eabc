package fetch

import (
	"context"
	"io"
	"runtime"
	"slices"
	"sync"

	"pkgedge/origin/coding"
)

// Documents bounds the memory in which all sites together read, decode, check and
// prepare metadata. Each fetch reserves an estimate before it reads, and grows its
// reservation as the document turns out larger. A fetch that finds too little
// waits, first in, first out. One that has begun may go on with the loan instead,
// whichever comes first. There is one loan at a time, and the fetch that has it
// waits for nothing more: so two fetches never wait for each other's memory, and
// the largest document has its turn. A small document has a part of the memory, and a
// compressor, that large ones do not get, so that it does not stand behind them. Where the lender cannot spare enough, the fetch
// with the loan goes on all the same: a document that is accepted is also served, and
// one of them at most passes the bound.
type Documents struct {
	lender   Lender
	coders   chan struct{} // documents being compressed
	second   chan struct{} // and a small one beside those; nil where memory is short
	encoders coding.Encoders

	mu    sync.Mutex
	size  int64
	left  int64
	small int64 // left of the part for small documents
	loan  bool  // a reservation has it
	queue []*waiter
}

// Lender spares memory for a rare large document, in bytes. ShrinkMemory does not wait:
// it says whether there is so much.
type Lender interface {
	ShrinkMemory(n int64) bool
	GrowMemory(n int64)
}

// waiter is a request for n more bytes.
type waiter struct {
	reservation *reservation
	n           int64
	begun       bool // the fetch has begun, and may go on with the loan
	loan        bool // it does
	ready       chan struct{}
}

// coder is the memory of one compression, in bytes: zstd at a window of 4 MiB, and
// gzip.
const coder = 7 << 20

// NewDocuments returns a bound of that many bytes, besides those that lender lends.
func NewDocuments(size int64, lender Lender) *Documents {
	coders := max(1, min(int64(runtime.GOMAXPROCS(0)), size/2/coder))
	size = max(size-coders*coder, 1<<20)
	d := &Documents{lender: lender, coders: make(chan struct{}, coders)}
	if size >= 2*smallCoder {
		size -= smallCoder
		d.second = make(chan struct{}, 1)
	}
	d.small = size / smallShare
	d.size = size - d.small
	d.left = d.size
	return d
}

const (
	// smallDocument is how large the memory of a fetch may be, and how large the documents that
	// are compressed, to count as small: a packument of 200 KiB.
	smallDocument = 512 << 10
	// smallShare is the fraction of the memory that is for small documents.
	smallShare = 8
	// smallCoder is the memory of compressing them, in bytes.
	smallCoder = 3 << 20
)

// unlimited lends to a site that was given no Documents.
type unlimited struct{}

func (unlimited) ShrinkMemory(int64) bool { return true }
func (unlimited) GrowMemory(int64)        {}

// reservation is the memory of one fetch.
type reservation struct {
	d        *Documents
	taken    int64
	small    int64 // of the part for small documents
	borrowed int64
	loan     bool  // it has the loan
	spare    int64 // bytes that the lender did not have
}

// reserve waits for n bytes, or for all there are.
func (d *Documents) reserve(ctx context.Context, n int64) (*reservation, error) {
	p := &reservation{d: d}
	if err := d.wait(ctx, &waiter{reservation: p, n: min(max(n, 0), d.size)}); err != nil {
		return nil, err
	}
	return p, nil
}

// wait queues until w has its bytes. The error is ctx's cause.
func (d *Documents) wait(ctx context.Context, w *waiter) error {
	w.ready = make(chan struct{})
	d.mu.Lock()
	d.queue = append(d.queue, w)
	d.admit()
	d.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.queue, w)
	if i < 0 {
		return nil // it came at the same moment
	}
	d.queue = slices.Delete(d.queue, i, i+1)
	d.admit()
	return context.Cause(ctx)
}

// admit serves the queue: bytes to the first waiter, as soon as they are enough, those for
// small documents to any that is small, and the loan to the first one that may have it. A waiter that needs more than all
// others could ever release waits for the loan alone, and holds up nobody. d.mu is
// held.
func (d *Documents) admit() {
	short := false
	d.queue = slices.DeleteFunc(d.queue, func(w *waiter) bool {
		switch p := w.reservation; {
		case !short && w.n <= d.left:
			d.left -= w.n
			p.taken += w.n
		case p.taken+p.small+w.n <= smallDocument && w.n <= d.small:
			d.small -= w.n
			p.small += w.n
		case w.begun && (p.loan || !d.loan):
			d.loan, p.loan, w.loan = true, true, true
		default:
			short = short || p.taken+w.n <= d.size
			return false
		}
		close(w.ready)
		return true
	})
}

// grow makes sure that the reservation has n bytes in all.
func (p *reservation) grow(ctx context.Context, n int64) error {
	more := n - p.taken - p.small - p.borrowed - p.spare
	if more <= 0 {
		return nil
	}
	w := &waiter{reservation: p, n: more, begun: true}
	if err := p.d.wait(ctx, w); err != nil || !w.loan {
		return err
	}
	if p.d.lender.ShrinkMemory(more) {
		p.borrowed += more
	} else {
		p.spare += more
	}
	return nil
}

// release gives everything back.
func (p *reservation) release() {
	d := p.d
	if p.loan {
		d.lender.GrowMemory(p.borrowed)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left += p.taken
	d.small += p.small
	d.loan = d.loan && !p.loan
	d.admit()
	*p = reservation{d: d}
}

// read reads r to its end, while other bytes of the reservation are in use. hint is
// the size expected, if it is above zero. whole is false when there is more than
// limit.
func (p *reservation) read(ctx context.Context, r io.Reader, hint, limit, other int64) (buf []byte, whole bool, err error) {
	step := min(max(hint, 64<<10), limit)
	for {
		// While buf grows it is there twice.
		if err := p.grow(ctx, other+int64(cap(buf))+step); err != nil {
			return nil, false, err
		}
		buf, whole, err = readUpTo(r, buf, step, step)
		if err != nil || whole || step == limit {
			return buf, whole, err
		}
		step = min(2*step, limit)
	}
}

// acquireCoder waits for its turn to compress documents of that many bytes.
func (d *Documents) acquireCoder(ctx context.Context, size int64) (release func(), err error) {
	second := d.second
	if size > smallDocument {
		second = nil
	}
	select {
	case d.coders <- struct{}{}:
		return func() { <-d.coders }, nil
	case second <- struct{}{}:
		return func() { <-d.second }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
