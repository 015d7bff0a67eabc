package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// Documents bounds the memory in which all sites together read, decode, check and
// prepare metadata. Each fetch takes what it seems to need before it reads, first
// come first served, and more as it turns out to need more. One that finds no
// more goes on with a loan, and of those there is one at a time: so two never
// wait for each other's, and the largest document has its turn whatever the
// others do.
type Documents struct {
	lender Lender
	loan   chan struct{} // who goes on with one
	coders chan struct{} // documents being compressed

	mu    sync.Mutex
	size  int64
	left  int64
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
	n     int64
	ready chan struct{}
}

// coder is what compressing takes, in bytes: zstd at a window of 4 MiB, and gzip.
const coder = 7 << 20

// NewDocuments returns a bound of that many bytes, besides what lender lends.
func NewDocuments(size int64, lender Lender) *Documents {
	coders := max(1, min(int64(runtime.GOMAXPROCS(0)), size/2/coder))
	size = max(size-coders*coder, 1<<20)
	return &Documents{
		lender: lender, loan: make(chan struct{}, 1), coders: make(chan struct{}, coders),
		size: size, left: size,
	}
}

// unlimited lends to a site that was given no Documents.
type unlimited struct{}

func (unlimited) Lend(int64) bool { return true }
func (unlimited) Repay(int64)     {}

// modest is the size in bytes of a document that needs no loan when its turn
// comes, for nothing may be left to lend: there is one at a time.
const modest = 4 << 20

// ErrRoom: there is no memory for the document at present.
var ErrRoom = errors.New("no memory for it at present")

// place is what one fetch has of the Documents.
type place struct {
	d     *Documents
	taken int64
	lent  int64
	turn  bool  // it has the loan's
	spare int64 // without a loan, see modest
}

// enter takes n bytes, or all there ever are, and waits for them.
func (d *Documents) enter(ctx context.Context, n int64) (*place, error) {
	n = min(max(n, 0), d.size)
	p := &place{d: d, taken: n}
	d.mu.Lock()
	if len(d.queue) == 0 && d.left >= n {
		d.left -= n
		d.mu.Unlock()
		return p, nil
	}
	e := &entrant{n, make(chan struct{})}
	d.queue = append(d.queue, e)
	d.mu.Unlock()
	select {
	case <-e.ready:
		return p, nil
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-e.ready: // all the same
		d.left += n
	default:
		for i, other := range d.queue {
			if other == e {
				d.queue = append(d.queue[:i], d.queue[i+1:]...)
			}
		}
	}
	d.admit()
	return nil, context.Cause(ctx)
}

// admit lets in whom there is room for. d.mu is held.
func (d *Documents) admit() {
	for len(d.queue) > 0 && d.queue[0].n <= d.left {
		d.left -= d.queue[0].n
		close(d.queue[0].ready)
		d.queue = d.queue[1:]
	}
}

// reserve makes sure that the place has n bytes in all.
func (p *place) reserve(ctx context.Context, n int64) error {
	d := p.d
	more := n - p.taken - p.lent - p.spare
	if more <= 0 {
		return nil
	}
	if !p.turn {
		d.mu.Lock()
		enough := len(d.queue) == 0 && d.left >= more
		if enough {
			d.left -= more
			p.taken += more
		}
		d.mu.Unlock()
		if enough {
			return nil
		}
		if err := acquire(ctx, d.loan); err != nil {
			return err
		}
		p.turn = true
	}
	switch {
	case d.lender.Lend(more):
		p.lent += more
	case n <= modest:
		p.spare += more
	default:
		return fmt.Errorf("%w: %d bytes more", ErrRoom, more)
	}
	return nil
}

// leave gives everything back.
func (p *place) leave() {
	d := p.d
	if p.turn {
		d.lender.Repay(p.lent)
		<-d.loan
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left += p.taken
	d.admit()
	p.taken, p.lent, p.spare, p.turn = 0, 0, 0, false
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
