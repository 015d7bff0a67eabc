package documents

import (
	"bufio"
	"context"
	"io"
	"math/bits"
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"pkgedge/origin/kind"
)

// Memory bounds the memory in which all sites together read, decode, check and
// prepare metadata. Each fetch reserves an estimate before it reads, and grows its
// reservation as the document turns out larger. A fetch that finds too little
// waits, first in, first out. One that has begun may go on with the loan instead,
// whichever comes first. There is one loan at a time, and the fetch that has it
// waits for nothing more: so two fetches never wait for each other's memory, and
// the largest document has its turn. A small document has a part of the memory, and a
// compressor, that large ones do not get, so that it does not stand behind them. Where the lender cannot spare enough, the fetch
// with the loan goes on all the same: a document that is accepted is also served, and
// one of them at most passes the bound.
type Memory struct {
	lender Lender
	coders chan struct{} // documents being compressed
	second chan struct{} // and a small one beside those; nil where memory is short
	encoders

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
	reservation *Reservation
	n           int64
	begun       bool // the fetch has begun, and may go on with the loan
	loan        bool // it does
	ready       chan struct{}
}

// coder is the memory of one compression, in bytes: zstd at a window of 4 MiB, and
// gzip.
const coder = 7 << 20

// Bounds are those of a Memory.
type Bounds struct {
	Bytes  int64 // in which documents are read and checked
	Small  int64 // besides those, for small documents alone
	Coders int   // documents compressed at a time
	Second bool  // and a small one beside those
}

// Split divides size bytes.
func Split(size int64) Bounds {
	coders := max(1, min(int64(runtime.GOMAXPROCS(0)), size/2/coder))
	b := Bounds{Coders: int(coders)}
	size = max(size-coders*coder, 1<<20)
	if b.Second = size >= 2*smallCoder; b.Second {
		size -= smallCoder
	}
	b.Small = size / smallShare
	b.Bytes = size - b.Small
	return b
}

// New returns a bound, besides the bytes that lender lends.
func New(b Bounds, lender Lender) *Memory {
	d := &Memory{lender: lender, coders: make(chan struct{}, b.Coders), size: b.Bytes, left: b.Bytes, small: b.Small}
	if b.Second {
		d.second = make(chan struct{}, 1)
	}
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

// Reservation is the memory of one fetch.
type Reservation struct {
	d        *Memory
	taken    int64
	small    int64 // of the part for small documents
	borrowed int64
	loan     bool  // it has the loan
	spare    int64 // bytes that the lender did not have
}

// Reserve waits for n bytes, or for all there are.
func (d *Memory) Reserve(ctx context.Context, n int64) (*Reservation, error) {
	p := &Reservation{d: d}
	if err := d.wait(ctx, &waiter{reservation: p, n: min(max(n, 0), d.size)}); err != nil {
		return nil, err
	}
	return p, nil
}

// wait queues until w has its bytes. The error is ctx's cause.
func (d *Memory) wait(ctx context.Context, w *waiter) error {
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
func (d *Memory) admit() {
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

// Grow makes sure that the reservation has n bytes in all.
func (p *Reservation) Grow(ctx context.Context, n int64) error {
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

// Release gives everything back.
func (p *Reservation) Release() {
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
	*p = Reservation{d: d}
}

// Read reads r to its end, while other bytes of the reservation are in use. hint is
// the size expected, if it is above zero. whole is false when there is more than
// limit.
func (p *Reservation) Read(ctx context.Context, r io.Reader, hint, limit, other int64) (buf []byte, whole bool, err error) {
	step := min(max(hint, 64<<10), limit)
	for {
		// While buf grows it is there twice.
		if err := p.Grow(ctx, other+int64(cap(buf))+step); err != nil {
			return nil, false, err
		}
		buf, whole, err = ReadUpTo(r, buf, step, step)
		if err != nil || whole || step == limit {
			return buf, whole, err
		}
		step = min(2*step, limit)
	}
}

// ReadUpTo appends to buf from r. whole is false when there is more than limit.
func ReadUpTo(r io.Reader, buf []byte, hint, limit int64) (_ []byte, whole bool, err error) {
	if want := min(max(hint, 64<<10), limit) + 1; int64(cap(buf)) < want {
		grown := make([]byte, len(buf), want)
		copy(grown, buf)
		buf = grown
	}
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):min(int64(cap(buf)), limit+1)])
		buf = buf[:len(buf)+n]
		switch {
		case err == io.EOF:
			return buf, int64(len(buf)) <= limit, nil
		case err != nil:
			return buf, false, err
		case int64(len(buf)) > limit:
			return buf, false, nil
		}
	}
}

// AcquireCoder waits for its turn to compress documents of that many bytes.
func (d *Memory) AcquireCoder(ctx context.Context, size int64) (release func(), err error) {
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

// The content codings that documents are stored in, as in Content-Encoding.
const (
	Identity = ""
	Gzipped  = "gzip"
	Zstded   = "zstd"
)

// encoders are the encoders and buffers that no document has now. Each of them is some hundred
// kilobytes, which cost a small document more than its compression.
type encoders struct{ gzips, zstds, outs, ins sync.Pool }

// encoder is an encoder that can be used again.
type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
}

// encoder returns an encoder of a coding for a document of size bytes, which begins with
// Reset. It goes to the pool afterwards.
func (c *encoders) encoder(coding string, size int64) (enc encoder, pool *sync.Pool, err error) {
	switch {
	case coding == Identity:
		return &plain{}, nil, nil
	case coding == Gzipped:
		if enc, ok := c.gzips.Get().(encoder); ok {
			return enc, &c.gzips, nil
		}
		enc, err := gzip.NewWriterLevel(nil, gzipLevel)
		return enc, &c.gzips, err
	case size <= smallWindow: // the window of an encoder is fixed
		if enc, ok := c.zstds.Get().(encoder); ok {
			return enc, &c.zstds, nil
		}
		enc, err := newZstd(smallWindow)
		return enc, &c.zstds, err
	}
	enc, err = newZstd(windowFor(size))
	return enc, nil, err
}

func newZstd(window int) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window),
		zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstd.SpeedDefault))
}

const (
	gzipLevel = 5
	// worthCoding is the size in bytes from which compressing pays: below it
	// the fields of the response are most of it.
	worthCoding = 512
	writeBuffer = 256 << 10
	// smallWindow is the window of the zstd encoders that are used again.
	smallWindow = 128 << 10
)

// For lists the codings a document is stored in. A document that is
// never served needs no choice.
func For(d kind.Document) []string {
	if d.Variant == kind.Summary || d.Size < worthCoding {
		return []string{Identity}
	}
	return []string{Identity, Gzipped, Zstded}
}

// windowFor is a window no larger than the document, for the encoder's memory
// goes by it, nor than any client must accept (RFC 8878 section 3.1.1.1.2 asks
// for 8 MB).
func windowFor(size int64) int {
	return 1 << min(max(bits.Len64(uint64(size)), 10), 22)
}

// Write writes a document in a coding of For. After an error nothing of it is used again.
func (c *encoders) Write(to io.Writer, d kind.Document, coding string) error {
	enc, pool, err := c.encoder(coding, d.Size)
	if err != nil {
		return err
	}
	// The documents come in many short segments: the buffer makes few long
	// writes of them.
	out, in := buffered(&c.outs, to, writeBuffer), buffered(&c.ins, enc, 32<<10)
	enc.Reset(out)
	if _, err := d.Body.WriteTo(in); err != nil {
		return err
	}
	if err := in.Flush(); err != nil {
		return err
	}
	if err := enc.Close(); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	out.Reset(nil)
	c.outs.Put(out)
	in.Reset(nil)
	c.ins.Put(in)
	if pool != nil {
		enc.Reset(nil)
		pool.Put(enc)
	}
	return nil
}

// buffered is a buffer of a pool in which all have one size.
func buffered(pool *sync.Pool, to io.Writer, size int) *bufio.Writer {
	if b, ok := pool.Get().(*bufio.Writer); ok {
		b.Reset(to)
		return b
	}
	return bufio.NewWriterSize(to, size)
}

// plain is the encoder of Identity.
type plain struct{ io.Writer }

func (p *plain) Reset(to io.Writer) { p.Writer = to }

func (p *plain) Close() error { return nil }
