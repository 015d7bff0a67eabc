package site

import (
	"net/http"
	"net/netip"

	"pkgedge/cache"
	"pkgedge/cache/policy"
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

// hopsOf are the fields of a request that tell which way it came, and no others.
func hopsOf(h http.Header) http.Header {
	if hops := hopFields(h); hops != nil {
		return hops
	}
	return http.Header{}
}
