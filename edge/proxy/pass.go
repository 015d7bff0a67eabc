package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/edge/accesslog"
	"pkgedge/edge/limit"
	"pkgedge/edge/redact"
	"pkgedge/edge/site"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// pass forwards a request whose response is never stored: publish, login, search,
// audit and every request that the kind does not know. Bodies stream both ways. A
// write that was sent makes the stored responses stale that it may have changed,
// before the client hears of it, so that the writer reads its own write.
func (x *exchange) pass() {
	x.outcome = cache.Passed
	if !x.takeMiss() {
		return
	}
	if x.route.Account == kind.AsksAccount && x.asksOwn() && x.upstream.DropsCredentials() && x.r.Header["Authorization"] != nil {
		x.refuse(cache.Refused, http.StatusForbidden, noAccounts)
		return
	}
	if err := x.redactRequest(); errors.Is(err, redact.ErrBusy) {
		x.fail(err)
		return
	} else if err != nil {
		x.err = err
		x.refuse(cache.Refused, http.StatusBadRequest, "cannot take private packages out of this request, so it goes nowhere: "+err.Error())
		return
	}
	leave, ok := x.handler.passing.Enter(x.site.Name+" "+x.upstream.Scope, x.client)
	if !ok {
		x.limited(defaultRetry)
		return
	}
	defer leave()
	if err := x.awaitBody(); err != nil {
		x.fail(err)
		return
	}
	proxy := httputil.ReverseProxy{
		Transport: x.upstream.Pass(x.route, limit.ClientOf(x.client)),
		Rewrite: func(p *httputil.ProxyRequest) {
			x.ownWay(p)
			if x.route.Filters {
				p.Out.Header["Accept-Encoding"] = []string{"gzip"} // the coding that Redactor can undo
			}
		},
		ModifyResponse: x.modifyResponse,
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) {
			x.unpassed(err)
		},
		ErrorLog: log.New(io.Discard, "", 0), // the access log has it
	}
	var w http.ResponseWriter = pacedWriter{x.w, x}
	if !x.r.ProtoAtLeast(1, 1) {
		w = finalOnly{w}
	}
	proxy.ServeHTTP(w, x.r)
	x.extendDeadline() // for the rest that net/http has buffered
}

// ownWay tells a master by which way a request comes, in the edge's own words and
// those of a trusted proxy before it.
func (x *exchange) ownWay(p *httputil.ProxyRequest) {
	for _, name := range []string{"Connection", "Upgrade"} {
		delete(p.Out.Header, name) // there is no tunnel through the edge
	}
	for name := range p.Out.Header {
		if origin.Mislead(name) {
			delete(p.Out.Header, name)
		}
	}
	origin.KeepTrace(p.Out.Header)
	if x.fromTrusted() {
		p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
	}
	p.SetXForwarded()
	if x.mayDescribeGet() {
		delete(p.Out.Header, "X-Forwarded-Host") // the client may have made it up
	}
}

// redactRequest takes out of the request all that lies in private scopes of other
// masters than those it is for. npm names the scope of a project in a field of
// every request, and every package of a project in the body of an audit. It also
// has one token for the edge, which masters that are read without one must not
// see.
func (x *exchange) redactRequest() error {
	if !x.site.HasScopes() {
		return nil
	}
	for _, name := range x.site.Kind.PrivateFields {
		delete(x.r.Header, name)
	}
	if (x.route.Class == kind.PassAny || x.asksOwn()) && x.upstream.DropsCredentials() {
		delete(x.r.Header, "Authorization")
		delete(x.r.Header, "Cookie")
	}
	if !x.route.Strips || x.r.Body == nil || x.r.Body == http.NoBody {
		return nil
	}
	elsewhere := func(scope string) bool { return x.site.Elsewhere(scope, x.upstream) }
	return x.site.Redactor.Request(x.r, x.control.SetReadDeadline, func(body []byte) ([]byte, error) {
		return x.site.Names.Strip(x.route, body, elsewhere)
	})
}

// noAccounts refuses to show a token to masters that it may not be for.
const noAccounts = "this edge has private scopes, and is not told which registry your token is for: its operator may set login: true for one scope, or authorized: revalidate for all others"

// asksOwn reports whether a site with private scopes asks its own masters about a client's
// account. The client's token may be one of a scope's.
func (x *exchange) asksOwn() bool {
	return x.route.Account != kind.NoAccount && x.upstream.Scope == "" && x.site.HasScopes()
}

// redactResponse takes withheld packages out of a response.
func (x *exchange) redactResponse(resp *http.Response) error {
	if !x.route.Filters || resp.StatusCode != http.StatusOK || x.r.Method == http.MethodHead {
		return nil
	}
	return x.site.Redactor.Response(x.r.Context(), resp, func(body []byte) ([]byte, error) {
		return x.site.Names.Filter(x.route, body)
	})
}

// finalOnly keeps interim responses from clients that do not know them (RFC 9110
// section 15.2).
type finalOnly struct{ http.ResponseWriter }

func (w finalOnly) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w finalOnly) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// modifyResponse sees the response before the client does.
func (x *exchange) modifyResponse(resp *http.Response) error {
	x.status, x.waited = resp.StatusCode, time.Since(x.start)
	x.source = accesslog.Source{Master: resp.Request.URL.Scheme + "://" + resp.Request.URL.Host, Status: resp.StatusCode}
	h := resp.Header
	if h["Content-Type"] == nil {
		x.header()["Content-Type"] = nil // else net/http would guess one
	}
	if x.Secure.HSTS != "" {
		delete(h, strict)
	}
	delete(h, "Proxy-Authentication-Info") // ends here too, which ReverseProxy does not know
	h["Via"] = append(h["Via"], "1.1 edge")
	why := "bypass"
	if !x.reads() {
		why = "method"
	}
	h["Cache-Status"] = append(h["Cache-Status"], "edge; fwd="+why+"; detail="+cache.Passed.String())
	if err := x.redactResponse(resp); err != nil {
		return err
	}
	resp.Body = &countedBody{ReadCloser: resp.Body, exchange: x}
	x.answered(resp.StatusCode, h)
	if x.describesGet(resp) {
		return x.storeForGet(resp)
	}
	return nil
}

// answered makes stale the responses that a write has changed, or may have: a server
// in front of a master answers 5xx for a write that goes on, and 403 or 409 may tell
// of an earlier one. 401 and 429 come before a write. A transparent site does as RFC
// 9111 section 4.4 says.
func (x *exchange) answered(status int, h http.Header) {
	marks := x.route.Invalidates
	switch {
	case len(marks) == 0 || status == http.StatusUnauthorized || status == http.StatusTooManyRequests:
		return
	case status < 400:
		x.upstream.Wrote(marks)
		marks = append(x.located(h), marks...)
	case x.site.Kind.Transparent:
		return
	default:
		x.upstream.Attempted(marks)
	}
	x.err = x.site.Invalidate(x.upstream, marks) // the write has happened, even if it cannot be recorded here
}

// unpassed answers for a request that got no response. A write that was sent may have
// taken effect.
func (x *exchange) unpassed(err error) {
	var down *origin.Unavailable
	switch {
	case errors.As(err, &down):
		if down.Sent && len(x.route.Invalidates) > 0 {
			x.upstream.Attempted(x.route.Invalidates)
			err = errors.Join(err, x.site.Invalidate(x.upstream, x.route.Invalidates))
		}
	case x.status == 0: // it went to no master: net/http cannot pass it on
		err = fmt.Errorf("%w: %w", origin.ErrRequest, err)
	}
	x.fail(err)
}

// located returns the stored responses of this site that the Location and
// Content-Location of a write's response name. The write has changed them too (RFC
// 9111 section 4.4).
func (x *exchange) located(h http.Header) []kind.Invalidation {
	var marks []kind.Invalidation
	for _, name := range []string{"Location", "Content-Location"} {
		u, err := x.r.URL.Parse(h.Get(name))
		if err != nil || h.Get(name) == "" || u.Host != "" && !site.SameAuthority(u, x.r.Host) {
			continue
		}
		path, ok := x.site.Below(x.r.Host, u.EscapedPath())
		if !ok {
			continue
		}
		r := x.site.Route(http.MethodGet, path, u.RawQuery, http.Header{})
		if r.Class.Cacheable() {
			marks = append(marks, kind.Invalidation{Scope: kind.OneKey, Name: r.Key})
		}
	}
	return marks
}

// countedBody counts the bytes of a passed body and records why it ended early.
type countedBody struct {
	io.ReadCloser
	*exchange
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.sent += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// maxStoredPost is the largest response to a POST, in bytes, that is stored for GET.
const maxStoredPost = 64 << 10

// describesGet reports whether the response to a POST is also the answer to a GET, as
// its Content-Location says, for as long as it states (RFC 9110 section 9.3.3).
func (x *exchange) describesGet(resp *http.Response) bool {
	if !x.mayDescribeGet() || resp.StatusCode != http.StatusOK || resp.ContentLength < 0 || resp.ContentLength > maxStoredPost {
		return false
	}
	u, err := x.r.URL.Parse(resp.Header.Get("Content-Location"))
	here := resp.Header.Get("Content-Location") != "" && err == nil &&
		(u.Host == "" || site.SameAuthority(u, x.r.Host)) && u.RequestURI() == x.r.URL.RequestURI()
	return here && policy.StatesLifetime(resp.Header)
}

// mayDescribeGet reports whether the response to this request may be stored for others: it
// is to a POST without fields that no fetch would have.
func (x *exchange) mayDescribeGet() bool {
	if !x.site.Kind.Transparent || x.r.Method != http.MethodPost {
		return false
	}
	for name := range x.r.Header {
		if strings.HasPrefix(name, "X-") || name == "Cookie" || origin.Mislead(name) {
			return false
		}
	}
	return true
}

// storeForGet stores the response to a POST as that of a GET.
func (x *exchange) storeForGet(resp *http.Response) error {
	body := make([]byte, resp.ContentLength)
	if _, err := io.ReadFull(resp.Body, body); err != nil {
		return err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(body), resp.Body}
	r := *x.r
	r.Method = http.MethodGet
	route := x.site.Route(r.Method, x.path, r.URL.RawQuery, r.Header)
	_, authorized := x.r.Header["Authorization"]
	// A response that cannot be stored costs a fetch later, and nothing now.
	_ = x.Cache.Put(x.r.Context(), &cache.Query{
		Key: x.site.Key(x.upstream, route), Rule: x.site.Rule(x.upstream, route), Fetcher: fetched{resp, body},
		Request: policy.Request{Method: http.MethodGet, Header: r.Header, Control: policy.NoDirectives(), Authorized: authorized},
	})
	return nil
}

// fetched is a Fetcher of a response that is at hand.
type fetched struct {
	resp *http.Response
	body []byte
}

func (f fetched) Fetch(_ context.Context, _ cache.FetchRequest, fill *cache.Fill) error {
	if err := fill.Respond(f.resp.StatusCode, f.resp.Header, int64(len(f.body))); err != nil {
		return err
	}
	_, err := fill.Write(f.body)
	return err
}
