package pool

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/transport"
)

// Nearer is a source of the masters' answers that is nearer than they are: another edge, or
// a store that edges share. It is safe for concurrent use.
//
// Ask returns a master's answer to r as that gave it, or nil: then the masters are asked. It
// bounds its wait for that. ctx is for the body as well. The answer is 200 or 304, the latter
// to r's validators alone, and it is the whole where r asks for a rest, too, and the master gave or confirmed it after r.Purged. No fault of
// such a source is a fault of a master.
type Nearer interface {
	Ask(ctx context.Context, r *Request) *Found
}

// Found is the answer of a nearer source.
type Found struct {
	*http.Response
	Master string        // its Name
	Ago    time.Duration // since it gave the answer, or confirmed it

	// Used is called once, when the answer has been read, or is given up. It is given nil for
	// one that was as good as a master's.
	Used func(*health.Blame)
}

// sharable says whether nearer sources may be asked. The answer is the same for everybody.
// Companions are the one master's.
func (p *Pool) sharable(r *Request) bool {
	if r.MastersOnly || r.Route.Transparent || !r.Route.Class.Cacheable() || r.Head || len(r.Route.Companions) > 0 {
		return false
	}
	if _, private := r.Header["Authorization"]; private {
		return false
	}
	return p.cfg.Credential == ""
}

// afterWrites has nearer sources asked for the primary's answer since the last write: that is
// as good as asking the primary. written is false without one. ok is false for a write of
// which it is not known when it takes effect.
func (p *Pool) afterWrites(r *Request) (written, ok bool) {
	writes := p.cfg.Writes.about(r.Route, time.Now())
	if len(writes) == 0 {
		return false, true
	}
	var last time.Time
	for _, w := range writes {
		if w.unknown {
			return true, false
		}
		if w.at.After(last) {
			last = w.at
		}
	}
	purged := r.Purged
	r.Purged = func() time.Time {
		if purged != nil {
			if at := purged(); at.After(last) {
				return at
			}
		}
		return last
	}
	return true, true
}

// askNearer asks the nearer sources. done says that use has accepted an answer of one, and
// then err is the result of Each.
func (p *Pool) askNearer(ctx context.Context, r *Request, use Use) (done bool, err error) {
	if !p.sharable(r) {
		return false, nil
	}
	own := *r
	written, ok := p.afterWrites(&own)
	if !ok {
		return false, nil
	}
	for _, source := range p.cfg.Nearer {
		if done, err = p.askSource(ctx, source, &own, written, use); done || ctx.Err() != nil {
			return done, err
		}
	}
	return false, nil
}

// askSource asks one source. primary says that the primary's answer alone will do.
func (p *Pool) askSource(ctx context.Context, source Nearer, r *Request, primary bool, use Use) (done bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	found := source.Ask(ctx, r)
	if found == nil {
		return false, nil
	}
	var blame *health.Blame
	defer func() { found.Used(blame) }()
	m := p.standIn(found.Master)
	if m == nil { // the source has another configuration
		blame = &health.Blame{Word: "unknown master", Err: fmt.Errorf("an answer of %q, which is no master here", found.Master)}
		found.Body.Close()
		return false, nil
	}
	if primary && !m.Primary {
		blame = &health.Blame{Word: "a replica's", Err: fmt.Errorf("an answer of %s, and there was a write", m.Name())}
		found.Body.Close()
		return false, nil
	}
	transport.Sanitize(found.Response, r.Route.Class == kind.File, time.Now().Add(-found.Ago))
	found.Body = p.transport.EagerBody(found.Body, r.Awaited, cancel)
	defer transport.Drain(found.Body, cancel)
	if r.Received != nil {
		r.Received(found.Ago)
		defer func() {
			if !done {
				r.Received(0)
			}
		}()
	}
	verdict, err := use(ctx, m, found.Response)
	if err != nil {
		switch cause := context.Cause(ctx); {
		case cause == transport.ErrIdle:
			err = cause
		case cause != nil: // it ended while the answer was read
			err = &health.Ours{Word: "abandoned", Err: err}
		}
		blame = health.Answered(err)
	}
	done = verdict == Accepted
	return done, err
}

// standIn is a master that does not answer for itself: nothing of its answer is news of it. It is nil for a name that no master of the pool has.
func (p *Pool) standIn(name string) *health.Master {
	for _, m := range p.Masters() {
		if m.Name() == name {
			own := *m
			own.StandIn = true
			return &own
		}
	}
	return nil
}
