package pool

import (
	"errors"
	"net"
	"net/http"
	"syscall"

	"pkgedge/origin/health"
	"pkgedge/origin/transport"
)

// blames are the failures of masters in one race. A client chooses the name, and may choose one
// at which each master breaks the connection or answers 500: five such requests would put a master out
// that is well for all others. So a failure waits until it is known whether another master does better. Where
// none does, and two have failed alike, it is a reason to probe them, and no more.
type blames struct {
	held  []held
	alike map[bool]int // masters that failed, by whether there was no answer
}

type held struct {
	master *health.Master
	blame  *health.Blame
}

// add holds a failure back.
func (b *blames) add(m *health.Master, f *health.Blame) {
	b.held = append(b.held, held{m, f})
	b.count(f.Unanswered)
}

func (b *blames) count(unanswered bool) {
	if b.alike == nil {
		b.alike = make(map[bool]int)
	}
	b.alike[unanswered]++
}

// settle holds the failures against their masters, as another one has done better.
func (b *blames) settle(p *Pool) {
	for _, h := range b.held {
		p.Failed(h.master, h.blame)
	}
	b.held = nil
}

// end holds the failures against their masters, but for those that may be the request's.
func (b *blames) end(p *Pool) {
	for _, h := range b.held {
		f := *h.blame
		f.Unsure = b.alike[f.Unanswered] > 1
		p.Failed(h.master, &f)
	}
}

// hear takes over the blame of a reply that has not been judged yet. Fields that are good tell that the
// request can be answered; a document has to be read for that.
func (r *race) hear(got *reply) {
	if got.blame != nil {
		r.blames.add(got.Master, got.blame)
		got.blame = nil
	}
	if got.err == nil && !transport.Failure(got.resp.StatusCode) && got.class != health.ForMetadata {
		r.blames.settle(r.Pool)
	}
}

// judged draws the consequences of a verdict for the masters that failed before.
func (r *race) judged(got *reply, verdict Verdict, err error) {
	switch {
	case got.resp == nil || err != nil && verdict != Absent:
	case transport.Failure(got.resp.StatusCode): // the last one of a transparent site, which is used
		r.blames.count(false)
	default:
		r.blames.settle(r.Pool)
	}
}

// fail has a failure held against its master, at once or when the race knows more. A wrong file counts for
// itself, as its digest tells.
func (r *reply) fail(f *health.Blame) {
	switch {
	case certain(f.Err), r.resp != nil && r.class != health.ForMetadata && !transport.Failure(r.resp.StatusCode):
		r.pool.Failed(r.Master, f)
	case r.race != nil:
		r.race.blames.add(r.Master, f)
	default:
		r.blame = f
	}
}

// certain says whether a failure is the master's for any request: it cannot be reached, or has too much
// to do. Where all have that, one of them going out spares the others the second tries.
func certain(err error) bool {
	var op *net.OpError
	var status *transport.StatusError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &op) && op.Op == "dial" ||
		errors.As(err, &status) && status.Status == http.StatusServiceUnavailable
}
