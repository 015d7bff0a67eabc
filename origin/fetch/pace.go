package fetch

import (
	"cmp"
	"io"
	"time"

	"pkgedge/origin/transport"
)

// pace is the rate that a fetch expects. The first master that sends less is left, once, for
// another may be faster; if none is, the next one may be as slow as it is.
type pace struct {
	least time.Duration // before which nobody is too slow
	rate  int64         // bytes a second
	left  bool          // a master was left
}

func (f *Fetcher) pace() pace { return pace{least: f.spool.Least, rate: f.spool.Rate} }

// of is a body that fails with transport.ErrSlow where it is too slow, and the master may be left.
func (p *pace) of(body io.ReadCloser, mayLeave func() bool) io.ReadCloser {
	return &pacedBody{ReadCloser: body, pace: p, mayLeave: mayLeave}
}

type pacedBody struct {
	io.ReadCloser
	*pace
	mayLeave func() bool
	begun    time.Time
	got      int64
	err      error // bufio reads on after an error
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	now := time.Now()
	if b.got == 0 {
		b.begun = now
	}
	b.got += int64(n)
	if spent := now.Sub(b.begun); err == nil && !b.left && b.tooSlow(spent, b.got) && b.mayLeave() {
		b.left, b.err = true, transport.ErrSlow
	}
	return n, cmp.Or(err, b.err)
}

func (p *pace) tooSlow(spent time.Duration, got int64) bool {
	return spent >= p.least && float64(got) < float64(p.rate)*spent.Seconds()
}
