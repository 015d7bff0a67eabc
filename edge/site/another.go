package site

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// ForAnother asks the cache on behalf of another edge, for the thing at a path of the
// masters, with its query. hops has the fields that tell which way the request came. The answer is the
// master's own: of a document, the bytes as the master sent them. It is fresh, or has just been
// validated. No further edge is asked. ok is false for things that edges do not share: those that
// a private scope or a credential gives, and those that are not at the path they have here.
func (s *Site) ForAnother(path, query string, client netip.Addr, hops http.Header) (q *cache.Query, ok bool) {
	r := s.Route(http.MethodGet, path, query, http.Header{})
	if query != "" {
		path += "?" + query
	}
	u, one := s.Upstream(r)
	if !one || !r.Class.Cacheable() || r.Transparent || u != &s.own || u.keyPrefix != "" || r.Path != path || len(r.Companions) > 0 {
		return nil, false
	}
	q = s.Query(u, r, hopsOf(hops))
	q.Client, q.Accept = client, cache.Gzip
	q.SoftTimeout, q.Rule.Patience = 0, 0
	q.Rule.Grace, q.Rule.Keep = policy.Window{}, policy.Window{}
	if r.Class == kind.Metadata {
		q.Variant = kind.Raw
	}
	f := q.Fetcher.(fetcher)
	f.another = true
	q.Fetcher = f
	return q, true
}

// Keep keeps a file of a package where other edges find it, some time later. open opens the
// stored response, and is nil where that is gone. It does not wait.
type Keep func(site, group string, open func() *origin.Found)

// kept says whether edges keep the response where others find it: a file that everybody may
// have.
func (f fetcher) kept(h http.Header) bool {
	if f.route.Class != kind.File || f.route.Transparent || f.from != &f.site.own || f.from.keyPrefix != "" {
		return false
	}
	_, private := h["Authorization"]
	return !private
}

// keep is called when the response is stored: it is kept where a master gave it.
func (f fetcher) keep(master bool) func() {
	if !master {
		return nil
	}
	return func() { f.site.keep(f.site.Name, f.route.Group, f.open) }
}

// open opens the stored response, nil where it is gone.
func (f fetcher) open() *origin.Found {
	q := f.site.Query(f.from, f.route, http.Header{})
	a, ok := f.site.cache.Peek(q)
	if !ok {
		return nil
	}
	body, err := a.Body(context.Background(), 0)
	if a.Status != http.StatusOK || a.Span != nil || a.From == "" || err != nil {
		a.Close()
		return nil
	}
	return &origin.Found{
		Response: &http.Response{StatusCode: a.Status, Header: a.Header, ContentLength: a.Part.Size, Body: storedBody{body, &a}},
		Master:   a.From, Ago: time.Since(a.RequestTime),
	}
}

// storedBody is a stored body that releases its response.
type storedBody struct {
	io.Reader
	*cache.Answer
}

func (b storedBody) Close() error {
	b.Answer.Close()
	return nil
}

// hopsOf are the fields of a request that tell which way it came, and no others.
func hopsOf(h http.Header) http.Header {
	if hops := hopFields(h); hops != nil {
		return hops
	}
	return http.Header{}
}
