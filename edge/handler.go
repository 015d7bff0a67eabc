package main

import (
	"errors"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"pkgedge/cache"
	"pkgedge/edge/admin"
	"pkgedge/edge/limit"
	"pkgedge/origin/kind"
)

// handler is the public listeners' http.Handler.
type handler struct {
	running atomic.Pointer[running]
}

// running is one configuration at work. It is immutable: a request loads it
// once and keeps to it.
type running struct {
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
	x := newExchange(h.running.Load(), w, r)
	defer x.end()
	if !x.admitted() {
		return
	}
	switch x.route.Class {
	case kind.Metadata, kind.File:
		if x.site.plain && x.conditionsOrigin() {
			x.pass()
			return
		}
		x.cached()
	case kind.PassPrimary, kind.PassAny:
		x.pass()
	case kind.Local:
		x.local()
	default: // Refuse, Off
		x.refuse(cache.Refused, x.route.Status, x.route.Reason)
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
	case !ok:
		x.refuse(cache.Refused, http.StatusNotFound, "no site is served here")
	default:
		x.site, x.path = site, path
		x.route = site.origin.Route(kind.Request{Method: x.r.Method, Path: path, Query: x.r.URL.RawQuery, Header: x.r.Header})
		if wait, ok := x.limiter.Take(x.client, x.start); !ok {
			x.limited(wait)
			return false
		}
		return true
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
	if x.route.Excerpt != "" {
		var ok bool
		if a, ok = x.excerpt(q, a); !ok {
			return
		}
	}
	defer a.Close()
	x.outcome = a.Outcome
	x.respond(a)
}

// missed charges the client for what a master was asked, whatever came of it: a
// flood of names that do not exist, or of writes, costs as much as one of misses.
func (x *exchange) missed() {
	x.limiter.Charge(x.client, time.Now(), limit.Miss-limit.Hit)
}

// query says what is wanted of the cache. Clients of the npm kind do not steer
// it: pnpm sends no-cache with every conditional request, and a registry's
// masters are not asked at that rate. What carries Authorization is answered
// for its sender alone.
func (x *exchange) query() *cache.Query {
	q := &cache.Query{
		Key:     x.site.key(x.route),
		Rule:    x.site.rule(x.route),
		Variant: x.route.Variant,
		Accept:  accepted(x.r.Header["Accept-Encoding"]),
		Memo:    kind.Memo,
		Fetcher: fetcher{x.site, x.route, hops(x.r.Header)},
		Request: cache.Request{Method: http.MethodGet, Control: cache.NoControl()},
	}
	if x.route.Excerpt != "" {
		q.Accept = 0 // a range of the bytes as they are
	}
	_, authorized := x.r.Header["Authorization"]
	switch {
	case x.site.plain:
		q.Request.Method = x.r.Method
		q.Request.Control = cache.RequestControl(x.r.Header)
		q.Request.Header = x.r.Header
		q.Request.Authorized = authorized
		if x.r.Method == http.MethodGet {
			q.Request.Ranges, _ = cache.ParseRange(x.r.Header["Range"])
		}
		q.Interim = x.interim
	case authorized:
		q.Request.Header = x.r.Header
		q.Private = true
	}
	return q
}

// hops is the part of a request's fields that tells the way it came, nil when it
// came straight.
func hops(h http.Header) http.Header {
	via, loop := h["Via"], h["Cdn-Loop"]
	if len(via) == 0 && len(loop) == 0 {
		return nil
	}
	return http.Header{"Via": via, "Cdn-Loop": loop}
}

// local answers by itself.
func (x *exchange) local() {
	x.outcome = cache.Local
	x.header().Set("Content-Type", x.route.ContentType)
	x.header().Set("Cache-Control", "no-store")
	x.header().Set("Cache-Status", "edge; detail="+cache.Local.String())
	x.write(x.route.Status, []byte(x.route.Reason))
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
