package main

import (
	"errors"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/edge/admin"
	"pkgedge/edge/conditional"
	"pkgedge/edge/config"
	"pkgedge/edge/limit"
	"pkgedge/origin/kind"
)

// handler is the public listeners' http.Handler.
type handler struct {
	running atomic.Pointer[running]
}

// enter returns the configuration that a request keeps to until it drops its
// lease. ok is false once the edge is closed.
func (h *handler) enter() (c *running, ok bool) {
	for {
		c = h.running.Load()
		if c.lease.take() {
			return c, true
		}
		if h.running.Load() == c {
			return nil, false
		}
	}
}

// running is one configuration at work. It is immutable: a request loads it
// once and keeps to it.
type running struct {
	lease    *lease // requests
	cfg      *config.Config
	sites    []*site // longest prefix first
	cache    *cache.Cache
	limiter  *limit.Limiter
	trusted  []netip.Prefix
	metrics  *admin.Metrics
	access   *accessLog
	identity string   // this edge's name in Via and CDN-Loop
	names    []string // host[:port] that an absolute-form request may name
}

// ServeHTTP is the life of a request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, ok := h.enter()
	if !ok {
		panic(http.ErrAbortHandler) // the edge is closed, and with it the connection
	}
	defer c.lease.drop()
	x := newExchange(c, w, r)
	defer x.end()
	if !x.admitted() {
		return
	}
	switch x.route.Class {
	case kind.Metadata, kind.File:
		if x.site.kind.Transparent && conditional.ForOrigin(x.r.Header) {
			x.pass()
			return
		}
		x.cached()
	case kind.PassPrimary, kind.PassAny:
		x.pass()
	case kind.Local:
		x.local()
	default: // Refuse, Off
		x.refuse(cache.Refused, x.route.Reply.Status, x.route.Reply.Text)
	}
}

// admitted says whether the request may go on, and answers it if not: this
// edge's own request come back, a request that is not for us, or one too many.
func (x *exchange) admitted() bool {
	switch site, path, ok := x.find(x.r); {
	case x.looped():
		x.header().Set("Proxy-Status", "edge; error=proxy_loop_detected")
		x.refuse(cache.Looped, http.StatusLoopDetected, "this request has passed this edge before: a master points back at it")
	case x.r.Method == http.MethodConnect || x.r.Method == http.MethodTrace:
		x.header().Set("Allow", "GET, HEAD, PUT, POST, DELETE")
		x.refuse(cache.Refused, http.StatusMethodNotAllowed, "method not allowed")
	case x.foreign():
		x.refuse(cache.Refused, http.StatusMisdirectedRequest, "this edge is not a proxy for other hosts")
	case x.hooked(): // and answered
	case !ok:
		x.refuse(cache.Refused, http.StatusNotFound, "no site is served here")
	default:
		x.site, x.path = site, path
		x.route = site.own.Route(kind.Request{Method: x.r.Method, Path: path, Query: x.r.URL.RawQuery, Header: x.r.Header})
		if wait, ok := x.limiter.Take(x.client, x.start); !ok {
			x.limited(wait)
			return false
		}
		if x.from, ok = site.upstream(x.route); ok {
			return true
		}
		x.refuse(cache.Refused, http.StatusBadRequest, "this names several private scopes: ask for one at a time")
	}
	return false
}

// cached answers what may be stored.
func (x *exchange) cached() {
	q := x.query()
	a, err := x.cache.Get(x.r.Context(), q)
	if err != nil || a.Forward != "" {
		x.missed()
	}
	if err != nil {
		x.fail(err)
		return
	}
	if x.route.Subdocument.Name != "" {
		var ok bool
		if a, ok = x.excerpt(q, a); !ok {
			return
		}
	}
	defer a.Close()
	if !x.grown(q, a) {
		return
	}
	x.outcome = a.Outcome
	x.respond(a)
}

// missed charges the client for what a master was asked, whatever came of it: a
// flood of names that do not exist, or of writes, costs as much as one of misses.
func (x *exchange) missed() {
	x.limiter.Charge(x.client, time.Now(), limit.Miss-limit.Hit)
}

// query says what is wanted of the cache. A site of static files is a cache as
// the RFC has it, and does what its clients and its origin say.
func (x *exchange) query() *cache.Query {
	q := x.site.ask(x.from, x.route, x.r.Header)
	q.Accept = encodings(conditional.AcceptedCodings(x.r.Header["Accept-Encoding"]))
	if x.route.Subdocument.Name != "" {
		q.Accept = 0 // a range of the bytes as they are
	}
	x.owned = q.Request.Owner != ""
	if x.site.kind.Transparent {
		q.Request.Method = x.r.Method
		q.Request.Control = policy.RequestControl(x.r.Header)
		q.Request.Header = x.r.Header
		_, q.Request.Authorized = x.r.Header["Authorization"]
		if x.r.Method == http.MethodGet {
			q.Request.Ranges, _ = policy.ParseRange(x.r.Header["Range"])
		}
		q.Interim = x.interim
	}
	return q
}

// encodings is a set of content codings in the cache's terms.
func encodings(c conditional.Codings) (set cache.Encoding) {
	if c.Gzip {
		set |= cache.Gzip
	}
	if c.Zstd {
		set |= cache.Zstd
	}
	return set
}

// local answers by itself.
func (x *exchange) local() {
	x.outcome = cache.Local
	x.header().Set("Content-Type", x.route.Reply.ContentType)
	x.header().Set("Cache-Control", "no-store")
	x.header().Set("Cache-Status", "edge; detail="+cache.Local.String())
	x.write(x.route.Reply.Status, []byte(x.route.Reply.Text))
}

// find returns the request's site and the path below its prefix, as escaped as
// it came.
func (c *running) find(r *http.Request) (s *site, path string, ok bool) {
	escaped := r.URL.EscapedPath()
	for _, s := range c.sites {
		if path, ok := s.below(r.Host, escaped); ok {
			return s, path, true
		}
	}
	return nil, "", false
}

// errClientGone is the outcome of a request whose client left.
var errClientGone = errors.New("client left")
