package origin

import (
	"io"
	"net/http"
	"sync"
	"time"

	"pkgedge/origin/kind"
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
// next master when one does not answer, and fails at once in an outage.
func (s *Site) Pass(r kind.Route) http.RoundTripper { return passage{s.pool, r} }

type passage struct {
	*pool
	route kind.Route
}

func (p passage) RoundTrip(req *http.Request) (*http.Response, error) {
	candidates := []*master{p.primary()}
	if p.route.Class == kind.PassAny {
		if candidates, _ = p.order(&Ask{Route: p.route}); len(candidates) == 0 {
			return nil, p.refusal()
		}
		if req.Body != nil && req.Body != http.NoBody {
			candidates = candidates[:1]
		}
	} else if p.isDrained(p.primary()) {
		return nil, &Unavailable{Tried: []error{ErrDrained}}
	}
	p.Identify(req.Header)
	p.retries.earn(time.Now())
	u := &Unavailable{}
	for i, m := range candidates {
		if i > 0 && !p.again(Ask{}) {
			u.Tried = append(u.Tried, errBudget)
			break
		}
		resp, err := p.pass(req, m)
		if err == nil {
			return resp, nil
		}
		u.note(m, err)
		if req.Context().Err() != nil {
			break
		}
	}
	return nil, u
}

func (p passage) pass(req *http.Request, m *master) (*http.Response, error) {
	target, err := req.URL.Parse(m.url(p.route.Path))
	if err != nil {
		return nil, err
	}
	if err := p.enterRoom(req.Context(), m, forPass, false); err != nil {
		p.observe(m.name, "busy")
		return nil, err
	}
	leave := sync.OnceFunc(func() { p.leaveRoom(m, forPass) })
	out := req.Clone(req.Context())
	out.URL, out.Host = target, target.Host
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		leave()
		p.observe(m.name, reason(err))
		if req.Context().Err() == nil {
			p.failed(m, silence(err))
		}
		return nil, err
	}
	p.observe(m.name, "pass")
	if resp.StatusCode < 500 {
		p.answered(m)
	}
	p.localize(m, target, resp.Header)
	if _, both := resp.Body.(io.Writer); both { // an upgraded connection is its client's
		leave()
		return resp, nil
	}
	resp.Body = &placedBody{resp.Body, leave}
	return resp, nil
}

// placedBody gives its place at a master back when it is closed.
type placedBody struct {
	io.ReadCloser
	leave func()
}

func (b *placedBody) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}

func (p *pool) isDrained(m *master) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !m.drained.IsZero()
}
