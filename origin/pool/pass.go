package pool

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/transport"
)

// Pass sends a request of a class that is never stored to the masters. It is
// for [net/http/httputil.ReverseProxy], which streams both bodies and takes
// care of the connection's own fields. The request's URL is replaced by
// the route's path at a master.
//
// PassPrimary goes to the primary and is never sent twice: only the client
// knows whether its write may be repeated. It goes there even while the primary
// is out, for there is no other way to find that a write works again; but not
// while an operator has drained it. A PassAny without a body moves on to the
// next master when one does not answer, and fails at once in an outage. A body
// that stalls for the idle time, either way, is given up.
func (p *Pool) Pass(r kind.Route) http.RoundTripper { return passage{p, r} }

type passage struct {
	*Pool
	route kind.Route
}

func (p passage) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	candidates, usable := []*health.Master{p.Primary()}, 1
	if p.route.Class == kind.PassAny {
		leave, ok := p.Enter(health.ForPass)
		if !ok {
			return nil, p.refusal()
		}
		defer func() { leave(err == nil) }()
		if candidates, usable = p.order(&Request{Route: p.route}); len(candidates) == 0 {
			return nil, p.refusal()
		}
		if req.Body != nil && req.Body != http.NoBody {
			candidates = candidates[:1]
		}
	} else if p.Drained(p.Primary()) {
		return nil, &Unavailable{Tried: []error{ErrDrained}}
	}
	transport.Identify(req.Header, p.cfg.Identity)
	p.retries.earn(time.Now())
	u := &Unavailable{}
	if usable == 0 {
		u.Tried = append(u.Tried, ErrOutage)
	}
	for i, m := range candidates {
		if i > 0 && i >= usable && usable > 0 && !p.retries.spend(time.Now()) {
			u.Tried = append(u.Tried, errBudget)
			break
		}
		resp, err := p.pass(req, m)
		if err == nil {
			return resp, nil
		}
		u.add(m, err)
		if req.Context().Err() != nil {
			break
		}
	}
	return nil, u
}

func (p passage) pass(req *http.Request, m *health.Master) (*http.Response, error) {
	target, err := req.URL.Parse(m.URL(p.route.Path))
	if err != nil {
		return nil, err
	}
	if err := p.Acquire(req.Context(), m, health.ForPass, p.cfg.Timeouts.FirstByte); err != nil {
		p.Observe(m, "busy")
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	end := sync.OnceFunc(func() { p.Release(m, health.ForPass); cancel(nil) })
	out := req.Clone(ctx)
	out.URL, out.Host = target, target.Host
	if out.Body != nil && out.Body != http.NoBody {
		out.Body = p.transport.TakenBody(out.Body, cancel)
	}
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		if cause := context.Cause(ctx); cause == transport.ErrUntaken {
			err = cause
		}
		end()
		blame := health.Unanswered(err)
		p.Observe(m, blame.Word)
		if req.Context().Err() == nil {
			p.Failed(m, blame)
		}
		return nil, err
	}
	p.Observe(m, "pass")
	if resp.StatusCode < 500 {
		p.Answered(m, health.ForPass)
		p.Began(m, health.ForPass)
	}
	transport.Localize(resp.Header, target, m.Base, p.cfg.PublicBase)
	if _, both := resp.Body.(io.Writer); both { // an upgraded connection is its client's
		end()
		return resp, nil
	}
	resp.Body = &placedBody{p.transport.IdleBody(resp.Body, cancel), ctx, p.Pool, m, end}
	return resp, nil
}

// placedBody gives its place at a master back when it is closed, and tells of a
// body that breaks off: with an error, so that its client's breaks off too.
type placedBody struct {
	io.ReadCloser
	ctx    context.Context
	pool   *Pool
	master *health.Master
	end    func()
}

func (b *placedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	switch cause := context.Cause(b.ctx); {
	case cause == transport.ErrIdle:
		err = cause
	case cause != nil:
		return n, err // the client has left
	}
	blame := health.Answered(err)
	b.pool.Observe(b.master, blame.Word)
	if blame.Guilty() {
		b.pool.Failed(b.master, blame)
	}
	return n, err
}

func (b *placedBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
