package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/links"
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
// next master when one does not answer or answers that it is in trouble, and fails at
// once in an outage. All others are waited for as long as transport.Timeouts.Write says, for no other
// master can answer them. A response that stalls for the idle time is given up.
//
// The error is an [Unavailable], which says whether a master has the request. It
// wraps ErrRequest where the request itself is at fault.
func (p *Pool) Pass(r kind.Route, client netip.Addr) http.RoundTripper { return passage{p, r, client} }

type passage struct {
	*Pool
	route  kind.Route
	client netip.Addr
}

func (p passage) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	candidates, usable, send := []*health.Master{p.Primary()}, 1, p.transport.RoundTripAlone
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
		} else {
			send = p.transport.RoundTrip
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
		begun := time.Now()
		resp, sent, err := p.pass(req, m, send)
		answered := err == nil
		if answered {
			if i+1 >= min(usable, len(candidates)) || !transport.InTrouble(resp.StatusCode) {
				return resp, nil
			}
			resp.Body.Close()
			err = &transport.StatusError{Status: resp.StatusCode}
		}
		t := &Trial{Name: m.Name(), Role: m.Role(), Answered: answered, Took: time.Since(begun), Err: err}
		u.add(t)
		if !answered && !errors.Is(err, ErrRequest) && !errors.Is(err, health.ErrBusy) && req.Context().Err() == nil {
			p.complain(p.route, t)
		}
		u.Sent = u.Sent || sent
		if req.Context().Err() != nil {
			break
		}
	}
	return nil, u
}

// pass sends a request to one master, and says whether that may have it.
func (p passage) pass(req *http.Request, m *health.Master, send sender) (_ *http.Response, sent bool, err error) {
	target, err := req.URL.Parse(m.URL(p.route.Path))
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrRequest, transport.Quiet(err))
	}
	if err := p.Acquire(req.Context(), p.client, m, health.ForPass, p.cfg.Timeouts.FirstByte); err != nil {
		p.Observe(m, "busy")
		return nil, false, err
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	end := sync.OnceFunc(func() { p.Release(m, health.ForPass); cancel(nil) })
	var w transport.Wire
	out := req.Clone(w.Watch(ctx))
	out.URL, out.Host = target, target.Host
	if len(p.route.Links) > 0 {
		out.Header["Accept-Encoding"] = []string{links.AcceptedCoding(req.Header)}
	}
	if out.Body != nil && out.Body != http.NoBody {
		out.Body = p.transport.TakenBody(w.Body(out.Body), cancel)
	}
	resp, err := send(out)
	if err != nil {
		defer end()
		if cause := context.Cause(ctx); cause == transport.ErrUntaken {
			err = cause
		}
		return nil, w.Sent(), p.failed(req, m, &w, err)
	}
	p.Observe(m, "pass")
	if resp.StatusCode < 500 {
		p.Answered(m, health.ForPass)
		p.Began(m, health.ForPass)
	} else {
		p.complain(p.route, &Trial{Name: m.Name(), Role: m.Role(), Answered: true, Err: &transport.StatusError{Status: resp.StatusCode}})
	}
	transport.Localize(resp.Header, target, m.Base, p.cfg.PublicBase)
	if _, both := resp.Body.(io.Writer); both { // an upgraded connection is its client's
		end()
		return resp, true, nil
	}
	resp.Body = &placedBody{p.transport.IdleBody(resp.Body, cancel), ctx, p, m, end}
	links.Rewrite(resp, p.route.Links, func(text string) (string, bool) { return p.local(text, target, m.Base) })
	return resp, true, nil
}

// local gives a URL of a master, in a response from target, as one of the site, where that can
// be asked for there.
func (p passage) local(text string, target, base *url.URL) (string, bool) {
	below, ok := transport.BelowIn(text, target, base)
	if !ok || p.cfg.Passes == nil || !p.cfg.Passes(below) {
		return "", false
	}
	return p.cfg.PublicBase + below, true
}

// failed finds the cause of a request that got no response: its client or the master.
func (p passage) failed(req *http.Request, m *health.Master, w *transport.Wire, err error) error {
	fault := w.Fault()
	switch {
	case fault != nil:
		p.Observe(m, "client")
		return fmt.Errorf("%w: %w", ErrRequest, fault)
	case req.Context().Err() != nil:
		p.Observe(m, "abandoned")
		return err
	case !w.Sound(): // it cannot be sent to any master
		p.Observe(m, "client")
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	blame := health.Passed(err, w.Sent())
	p.Observe(m, blame.Word)
	p.Failed(m, blame)
	return err
}

// sender sends a request.
type sender func(*http.Request) (*http.Response, error)

// placedBody gives its place at a master back when it is closed, and tells of a
// body that breaks off: with an error, so that its client's breaks off too.
type placedBody struct {
	io.ReadCloser
	ctx    context.Context
	pass   passage
	master *health.Master
	end    func()
}

func (b *placedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.master.Got(n)
	if err == nil || err == io.EOF {
		return n, err
	}
	switch cause := context.Cause(b.ctx); {
	case cause == transport.ErrIdle:
		err = cause
	case cause != nil:
		return n, err // the client has left
	}
	blame := health.Broken(err)
	b.pass.Observe(b.master, blame.Word)
	if blame.Guilty() {
		b.pass.Failed(b.master, blame)
		b.pass.complain(b.pass.route, &Trial{Name: b.master.Name(), Role: b.master.Role(), Answered: true, Err: err})
	}
	return n, err
}

func (b *placedBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
