package proxy

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/edge/accesslog"
	"pkgedge/edge/conditional"
	"pkgedge/edge/limit"
	"pkgedge/edge/site"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// Handler is the public listeners' http.Handler.
type Handler struct {
	Ceilings limit.Ceilings

	current atomic.Pointer[Snapshot]
	passing limit.Shares // of the requests that are passed
}

// Use has requests begin with s from now on. A request keeps to the snapshot that it
// began with.
func (h *Handler) Use(s *Snapshot) { h.current.Store(s) }

// exchange is one request and its answer. One goroutine uses it.
type exchange struct {
	*Snapshot
	handler  *Handler
	w        http.ResponseWriter
	r        *http.Request
	control  *http.ResponseController
	start    time.Time
	client   netip.Addr
	site     *site.Site // nil until the request has found one
	path     string     // below the site's prefix
	route    kind.Route
	upstream *site.Upstream // the masters that are asked
	private  bool           // the answer is for the request's credential alone
	places   limit.Places   // under the ceilings
	reserved int            // tokens that the client has been charged beyond a hit
	listed   bool           // the file that is asked for is one that a stored document lists

	// For log, metrics and Cache-Status.
	outcome cache.Outcome
	status  int
	sent    int64 // body bytes
	err     error
	stale   error         // the reason for a stale answer
	reason  string        // that the client was told; "" where it was told none
	waited  time.Duration // until the header was sent
	source  accesslog.Source
}

// ServeHTTP is the life of a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := h.begin(w, r)
	defer x.end()
	if !x.underCeilings() || !x.addressed() || !x.reads() && x.webhook() || x.Secure.Port != "" && x.secured() || !x.find() || !x.admit() {
		return // it has been answered
	}
	switch x.route.Class {
	case kind.Metadata, kind.File:
		if x.site.Kind.Transparent && conditional.ForOrigin(r.Header) {
			x.pass()
		} else {
			x.cached()
		}
	case kind.PassPrimary, kind.PassAny:
		x.pass()
	case kind.Local:
		if x.path == "/" {
			x.root()
		} else {
			x.local()
		}
	default: // Refuse, Off
		x.refuse(cache.Refused, x.route.Reply.Status, x.route.Reply.Text)
	}
}

func (h *Handler) begin(w http.ResponseWriter, r *http.Request) *exchange {
	s := h.current.Load()
	x := &exchange{Snapshot: s, handler: h, w: w, r: r, control: http.NewResponseController(w), start: time.Now()}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		x.client = peer.Addr().Unmap()
		if hops := r.Header["X-Forwarded-For"]; len(hops) > 0 {
			x.client = limit.ClientAddr(x.client, hops, s.Trusted)
		}
	}
	s.Metrics.Begin()
	return x
}

// end writes down the answer. It runs also when the body was broken off by a
// panic, which goes on to net/http.
func (x *exchange) end() {
	rec := accesslog.Record{Begun: x.start, Client: x.client, Status: x.status, Sent: x.sent, Err: cmp.Or(x.err, x.stale), Waited: x.waited, Source: x.source}
	name := ""
	if x.site != nil {
		rec.Site, name = x.site.Name, nameOf(&x.route)
	}
	if x.status >= http.StatusInternalServerError || x.err != nil {
		x.recordFailure()
	}
	if x.Access != nil {
		rec.Line = lineOf(x.r, &x.route)
		rec.Agent = []byte(x.r.UserAgent())
		if sent := x.r.Header["X-Request-Id"]; len(sent) == 1 {
			rec.ID = requestID(sent[0])
		}
		if sent := x.r.Header["Traceparent"]; len(sent) == 1 {
			rec.Trace = origin.TraceID(sent[0])
		}
		if x.r.TLS != nil {
			rec.TLS = tlsVersion(x.r.TLS.Version)
		}
	}
	x.places.Leave(x.client)
	x.finish(&rec, name, x.outcome)
}

// lineOf is a request's line. A path that holds a secret is written as its kind says, without
// the query. Nor is that of a request for the primary alone: it may be the key to a login.
func lineOf(r *http.Request, route *kind.Route) accesslog.Line {
	l := accesslog.Line{Method: r.Method, Host: r.Host, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Protocol: r.Proto, Endpoint: route.Endpoint}
	if route.Log != "" {
		l.Path = route.Log
	}
	if route.Log != "" || route.Class == kind.PassPrimary {
		l.Query = ""
	}
	return l
}

// tlsVersion is a version of TLS in the log, "" for none.
func tlsVersion(version uint16) string {
	switch version {
	case tls.VersionTLS12:
		return "1.2"
	case tls.VersionTLS13:
		return "1.3"
	}
	return ""
}

// nameOf is the name of the package or file that a route is about, "" for other routes.
func nameOf(r *kind.Route) string {
	if r.Class != kind.Metadata && r.Class != kind.File {
		return ""
	}
	return cmp.Or(r.Group, r.Path)
}

// requestID is the ID of a request, where it is one: of another hop, in a log of ours.
func requestID[text string | []byte](sent text) string {
	if len(sent) == 0 || len(sent) > 128 {
		return ""
	}
	for i := range len(sent) {
		if c := sent[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return ""
		}
	}
	return string(sent)
}

// finish counts a request and writes it down: one that net/http has read, or the lane. The
// name is of a package or file, "" for a request of another kind.
func (s *Snapshot) finish(r *accesslog.Record, name string, outcome cache.Outcome) {
	r.Outcome = outcome.String()
	took := time.Since(r.Begun)
	s.Metrics.Observe(r.Site, r.Outcome, r.Status, r.Sent, took)
	if name != "" {
		now := r.Begun.Add(took)
		if requests := s.Asked.Count(r.Site, name, 1, now); requests > 0 && r.Sent > 0 {
			s.Sent.Count(r.Site, name, requests*r.Sent, now)
		}
		if outcome == cache.Missed || outcome == cache.Failed {
			s.Missed.Count(r.Site, name, 1, now)
		}
	}
	if s.Access != nil {
		s.Access.Write(r, took)
	}
	s.Metrics.End()
}

func (x *exchange) header() http.Header { return x.w.Header() }

// addressed reports whether the request is for this edge to answer: it has not
// passed it before, and is not meant for another proxy or host.
func (x *exchange) addressed() bool {
	switch {
	case listed(x.r.Header["Cdn-Loop"], x.Identity) || listed(x.r.Header["Via"], x.Identity): // RFC 8586 section 2
		x.header().Set("Proxy-Status", "edge; error=proxy_loop_detected")
		x.refuse(cache.Looped, http.StatusLoopDetected, "this request has passed this edge before: a master points back at it")
	case !isToken(x.r.Method): // which HTTP/2 frames, and HTTP/1 to a master does not
		x.refuse(cache.Refused, http.StatusBadRequest, "the method is not a token")
	case x.r.Method == http.MethodConnect || x.r.Method == http.MethodTrace:
		x.header().Set("Allow", "GET, HEAD, PUT, POST, DELETE")
		x.refuse(cache.Refused, http.StatusMethodNotAllowed, "method not allowed")
	case x.foreign():
		x.refuse(cache.Refused, http.StatusMisdirectedRequest, "this edge is not a proxy for other hosts")
	default:
		return true
	}
	return false
}

// isToken: RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// listed looks for a token among the members of a list field.
func listed(lines []string, token string) bool {
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			member, _, _ = strings.Cut(member, ";")
			if slices.Contains(strings.Fields(member), token) {
				return true
			}
		}
	}
	return false
}

// foreign reports whether an absolute-form request target names something that no site
// is: another host, or no web resource. Its host counts, and no Host field. A request in
// origin-form for that host would be answered, so that this one is, too (RFC 9112 section
// 3.2.2): the scheme may be the one before a proxy that ends TLS, or npm's http inside
// TLS.
func (x *exchange) foreign() bool {
	u := x.r.URL
	if u.Host == "" && u.Scheme == "" {
		return false
	}
	return u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || !x.Sites.Takes(u.Host)
}

// reads reports whether the method is one of a read.
func (x *exchange) reads() bool { return x.r.Method == http.MethodGet || x.r.Method == http.MethodHead }

// find names the site and the route.
func (x *exchange) find() (ok bool) {
	if x.site, x.path, ok = x.Sites.Find(x.r.Host, x.r.URL.EscapedPath()); !ok {
		if x.r.URL.Path != "/" || !x.welcome() {
			x.refuse(cache.Refused, http.StatusNotFound, "no site is served here")
		}
		return false
	}
	x.route = x.site.Route(x.r.Method, x.path, x.r.URL.RawQuery, x.r.Header)
	return true
}

// underCeilings counts the request, and its body. It answers, and reports false, where there
// are too many.
func (x *exchange) underCeilings() bool {
	verdict := x.places.Enter(&x.handler.Ceilings.Requests, x.client)
	if verdict == limit.Entered && x.r.ContentLength != 0 {
		verdict = x.enterBody()
	}
	if verdict != limit.Entered {
		x.overCeiling(verdict)
	}
	return verdict == limit.Entered
}

// admitFetch counts a fetch of which nothing is stored, and charges the client for it, before
// it begins.
func (x *exchange) admitFetch(q *cache.Query) error {
	if x.places.Enter(&x.handler.Ceilings.Misses, x.client) != limit.Entered {
		return errManyMisses
	}
	if x.Limiter == nil {
		return nil
	}
	return x.chargeFetch(q)
}

// admit charges the client for the request, and names the masters it is for.
func (x *exchange) admit() (ok bool) {
	if x.Limiter != nil && !x.charge() {
		return false
	}
	if x.upstream, ok = x.site.Upstream(x.route); !ok {
		x.refuse(cache.Refused, http.StatusBadRequest, "this names several private scopes: ask for one at a time")
	}
	return ok
}

// cached answers a request whose response may be stored.
func (x *exchange) cached() {
	if x.site.Kind.Transparent && origin.TooManyFields(x.r.Header) {
		x.refuse(cache.Refused, http.StatusRequestHeaderFieldsTooLarge, "the fields of this request are too large")
		return
	}
	q := x.query()
	a, err := x.Cache.Get(x.r.Context(), q)
	if over := (*overBudget)(nil); errors.As(err, &over) {
		x.limited(over.wait)
		return
	}
	if errors.Is(err, errManyMisses) {
		x.limited(ceilingRetry)
		return
	}
	if err != nil {
		x.settle(x.costOfFailure(err))
		x.fail(err)
		return
	}
	defer a.Close()
	if x.Limiter != nil {
		cost, later := x.cost(&a)
		x.settle(cost)
		if later {
			defer func() { x.settle(bytesCost(x.sent)) }()
		}
	}
	if x.route.Subdocument.Name != "" && !x.subdocument(q, &a) {
		return
	}
	if x.route.Class == kind.File && x.site.MinimumAge > 0 && !x.oldEnough(q, &a) {
		return
	}
	x.outcome, x.source, x.stale = a.Outcome, accesslog.Source{Master: a.Master, Status: a.ForwardStatus}, a.Err
	x.fields(&a)
	if x.Lane != nil && a.Outcome == cache.Hit && !x.Budgets {
		x.offer(q, &a)
	}
	x.respond(&a)
}

// query asks the cache for the route's response. A transparent site is a cache as
// RFC 9111 has it, and obeys its clients and its origin.
func (x *exchange) query() *cache.Query {
	q := x.site.Query(x.upstream, x.route, x.r.Header)
	if x.route.Subdocument.Name == "" { // else a range of the bytes as they are
		q.Accept = encodings(conditional.AcceptedCodings(x.r.Header["Accept-Encoding"]))
	}
	if q.Client = x.client; q.Client.Is6() {
		q.Client = limit.ClientOf(q.Client)
	}
	x.private = q.Request.Owner != ""
	if x.site.Kind.Transparent {
		q.Request.Method = x.r.Method
		q.Request.Control = policy.RequestControl(x.r.Header)
		q.Request.Header = x.r.Header
		_, q.Request.Authorized = x.r.Header["Authorization"]
		if x.r.Method == http.MethodGet {
			q.Request.Ranges, _ = policy.ParseRange(x.r.Header["Range"])
		}
		q.Interim = x.interim
	}
	q.Admit = func() error { return x.admitFetch(q) }
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

// oldEnough reports whether a file is of a release of the site's minimum age, and
// answers if it is not.
func (x *exchange) oldEnough(q *cache.Query, a *cache.Answer) bool {
	switch reason, err := x.site.Withheld(x.r.Context(), q, a); {
	case err != nil:
		x.fail(err)
	case reason != "":
		x.settle(limit.Miss - limit.Hit) // a master was asked for a newer list
		x.refuse(cache.Refused, http.StatusUnavailableForLegalReasons, reason)
	default:
		return true
	}
	return false
}

// local answers without the cache and the masters.
func (x *exchange) local() {
	x.outcome = cache.Local
	x.header().Set("Content-Type", x.route.Reply.ContentType)
	x.header().Set("Cache-Control", "no-store")
	x.header().Set("Cache-Status", "edge; detail="+cache.Local.String())
	x.write(x.route.Reply.Status, []byte(x.route.Reply.Text))
}
