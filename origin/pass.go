package origin

import (
	"net/http"

	"pkgedge/origin/kind"
)

// Pass sends a request of a class that is never stored to the masters. It is
// for [net/http/httputil.ReverseProxy], which streams both bodies and takes
// care of the connection's own fields. The request's URL is replaced by
// the route's path at a master.
//
// PassPrimary goes to the primary and is never sent twice: only the client
// knows whether its write may be repeated. A PassAny without a body moves on to
// the next master when one does not answer.
func (s *Site) Pass(r kind.Route) http.RoundTripper { return passage{s.pool, r} }

type passage struct {
	*pool
	route kind.Route
}

func (p passage) RoundTrip(req *http.Request) (*http.Response, error) {
	candidates := []*master{p.primary()}
	if p.route.Class == kind.PassAny {
		candidates = p.order()
		if req.Body != nil && req.Body != http.NoBody {
			candidates = candidates[:1]
		}
	}
	p.Identify(req.Header)
	u := &Unavailable{}
	for _, m := range candidates {
		resp, err := p.send(req, m)
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

func (p passage) send(req *http.Request, m *master) (*http.Response, error) {
	target, err := req.URL.Parse(m.url(p.route.Path))
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	out.URL, out.Host = target, target.Host
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		p.observe(m.name, reason(err))
		return nil, err
	}
	p.observe(m.name, "pass")
	p.localize(m, target, resp.Header)
	return resp, nil
}
