package fetch

import (
	"context"
	"io"
	"runtime"
	"slices"
	"sync"
)

// Documents bounds the memory in which all sites together read, decode, check and
// prepare metadata. Each fetch takes what it seems to need before it reads, and
// more as it turns out to need more; who finds too little waits, first come first
// served. One that has begun may go on with a loan instead, whichever comes first.
// Of loans there is one at a time, and who has it waits for nothing more: so two
// never wait for each other's memory, and the largest document has its turn
// whatever the others do. What the lender cannot spare the one with the loan takes
// all the same: a document that is accepted is also served, and the bound is passed
// by one of them at most.
type Documents struct {
	lender Lender
	coders chan struct{} // documents being compressed

	mu    sync.Mutex
	size  int64
	left  int64
	loan  bool // one goes on with it
	queue []*entrant
}

// Lender spares memory for a rare large document, in bytes. Lend does not wait:
// it says whether there is so much.
type Lender interface {
	Lend(n int64) bool
	Repay(n int64)
}

// entrant waits for n bytes.
type entrant struct {
	place *place
	n     int64
	begun bool // it has some already, and may go on with the loan
	loan  bool // it does
	ready chan struct{}
}

// coder is what compressing takes, in bytes: zstd at a window of 4 MiB, and gzip.
const coder = 7 << 20

// NewDocuments returns a bound of that many bytes, besides what lender lends.
func NewDocuments(size int64, lender Lender) *Documents {
	coders := max(1, min(int64(runtime.GOMAXPROCS(0)), size/2/coder))
	size = max(size-coders*coder, 1<<20)
	return &Documents{
		lender: lender, coders: make(chan struct{}, coders),
		size: size, left: size,
	}
}

// unlimited lends to a site that was given no Documents.
type unlimited struct{}

func (unlimited) Lend(int64) bool { return true }
func (unlimited) Repay(int64)     {}

// place is what one fetch has of the Documents.
type place struct {
	d     *Documents
	taken int64
	lent  int64
	loan  bool  // it has the loan
	spare int64 // beyond what the lender has
}

// enter takes n bytes, or all there ever are, and waits for them.
func (d *Documents) enter(ctx context.Context, n int64) (*place, error) {
	p := &place{d: d}
	if err := d.wait(ctx, &entrant{place: p, n: min(max(n, 0), d.size)}); err != nil {
		return nil, err
	}
	return p, nil
}

// wait queues until e has what it waits for. The error is ctx's cause.
func (d *Documents) wait(ctx context.Context, e *entrant) error {
	e.ready = make(chan struct{})
	d.mu.Lock()
	d.queue = append(d.queue, e)
	d.admit()
	d.mu.Unlock()
	select {
	case <-e.ready:
		return nil
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.queue, e)
	if i < 0 {
		return nil // it came at the same moment
	}
	d.queue = slices.Delete(d.queue, i, i+1)
	d.admit()
	return context.Cause(ctx)
}

// admit gives those who wait what there is: bytes to the first, as soon as they
// are enough, and the loan to the first who may have it. Who needs more than
// others could ever leave waits for the loan alone, and holds up nobody. d.mu is
// held.
func (d *Documents) admit() {
	short := false
	d.queue = slices.DeleteFunc(d.queue, func(e *entrant) bool {
		switch p := e.place; {
		case !short && e.n <= d.left:
			d.left -= e.n
			p.taken += e.n
		case e.begun && (p.loan || !d.loan):
			d.loan, p.loan, e.loan = true, true, true
		default:
			short = short || p.taken+e.n <= d.size
			return false
		}
		close(e.ready)
		return true
	})
}

// reserve makes sure that the place has n bytes in all.
func (p *place) reserve(ctx context.Context, n int64) error {
	more := n - p.taken - p.lent - p.spare
	if more <= 0 {
		return nil
	}
	e := &entrant{place: p, n: more, begun: true}
	if err := p.d.wait(ctx, e); err != nil || !e.loan {
		return err
	}
	if p.d.lender.Lend(more) {
		p.lent += more
	} else {
		p.spare += more
	}
	return nil
}

// leave gives everything back.
func (p *place) leave() {
	d := p.d
	if p.loan {
		d.lender.Repay(p.lent)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left += p.taken
	d.loan = d.loan && !p.loan
	d.admit()
	*p = place{d: d}
}

// read reads r to its end, for which the place has beside bytes in use. hint is
// the size expected, if it is above zero. whole is false when there is more than
// limit.
func (p *place) read(ctx context.Context, r io.Reader, hint, limit, beside int64) (buf []byte, whole bool, err error) {
	step := min(max(hint, 64<<10), limit)
	for {
		// While buf grows it is there twice.
		if err := p.reserve(ctx, beside+int64(cap(buf))+step); err != nil {
			return nil, false, err
		}
		buf, whole, err = readUpTo(r, buf, step, step)
		if err != nil || whole || step == limit {
			return buf, whole, err
		}
		step = min(2*step, limit)
	}
}

func acquire(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
