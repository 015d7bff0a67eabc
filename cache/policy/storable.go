package policy

import (
	"net/http"
	"strings"
	"time"
)

// Storable says whether a response may be stored (section 3), and is worth it. A
// 206 or 304 is not stored as it is: see sections 3.4 and 4.3.4.
func Storable(rule Rule, q Request, status int, h http.Header) bool {
	c := control(h)
	if q.Method != http.MethodGet || q.Control.NoStore {
		return false
	}
	if status < 200 || status == http.StatusPartialContent || status == http.StatusNotModified || provoked(status, q.Header) {
		return false
	}
	if c.MustUnderstand { // section 5.2.2.3: then no-store is ignored
		if !understood(status) {
			return false
		}
	} else if c.NoStore {
		return false
	}
	if c.Private && q.Owner == "" { // section 5.2.2.7
		return false
	}
	if q.Authorized && !c.Public && !c.MustRevalidate && c.SMaxAge == absent { // section 3.5
		return false
	}
	if len(h["Vary"]) > 0 && varyAny(h) { // section 4.1: no request would select it
		return false
	}
	return states(c, h) || rule.givesLifetime(status) || heuristicallyCacheable(status) &&
		(c.NoCache || rule.Heuristic && h.Get("Last-Modified") != "" || h.Get("ETag") != "")
}

// provoked says whether an error is likely to be about the request that it answers, and
// not about its target: then the next client must not have it. The fields of one client may
// be too large or too odd for an origin, and its range out of reach. RFC 6585 forbids to
// store 428, 429, 431 and 511.
func provoked(status int, request http.Header) bool {
	switch status {
	case http.StatusRequestEntityTooLarge, http.StatusRequestedRangeNotSatisfiable,
		http.StatusPreconditionRequired, http.StatusTooManyRequests, http.StatusRequestHeaderFieldsTooLarge, http.StatusNetworkAuthenticationRequired:
		return true
	case http.StatusBadRequest, http.StatusRequestURITooLong:
		return !ordinary(request)
	}
	return false
}

// ordinaryFields is the size of the fields, in bytes, that no origin takes for too much.
const ordinaryFields = 2 << 10

// ordinary says whether the fields of a request give no reason to refuse it.
func ordinary(h http.Header) bool {
	size := 0
	for name, values := range h {
		for _, v := range values {
			if size += len(name) + len(v); size > ordinaryFields || strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > '~' }) {
				return false
			}
		}
	}
	return true
}

// states says whether the response itself allows to store it, or states a
// lifetime.
func states(c Directives, h http.Header) bool {
	return c.MaxAge != absent || c.SMaxAge != absent || len(h["Expires"]) > 0 || c.Public
}

// StatesLifetime says whether a response states a lifetime of its own.
func StatesLifetime(h http.Header) bool {
	c := control(h)
	return c.MaxAge > 0 || c.SMaxAge > 0 || len(h["Expires"]) > 0
}

// understood says whether this cache implements the caching rules of a final
// status (section 3, RFC 9110 section 15).
func understood(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406,
		408, 409, 410, 411, 412, 414, 415, 417, 421, 422, 451,
		500, 501, 502, 503, 504:
		return true
	}
	return false
}

// heuristicallyCacheable says whether a status is cacheable by definition (RFC
// 9110 section 15.1). 206 is left out.
func heuristicallyCacheable(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// Received makes the stored form of a response that has just arrived: the
// stored fields, a Date where the origin sent none (RFC 9110 section 6.6.1), and
// the values of the request's selecting fields.
func Received(status int, h, request http.Header, requested, received time.Time) Response {
	c := control(h)
	r := Response{
		Status: status, Header: storedFields(h, &c),
		RequestTime: requested, ResponseTime: received,
	}
	if len(request[origin]) > 0 {
		r.Vary = varyOf(h, request, origin)
	} else if len(h["Vary"]) > 0 {
		r.Vary = varyOf(h, request)
	}
	if len(r.Header["Date"]) == 0 {
		r.Header["Date"] = []string{received.UTC().Format(http.TimeFormat)}
	}
	r.Measure()
	return r
}

// hopByHop lists the fields that concern one connection (RFC 9110 section 7.6.1),
// with the older Keep-Alive and Proxy-Connection. The fields of proxy
// authentication end at the next hop too.
var hopByHop = [...]string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
	"Proxy-Authentication-Info", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// EndToEnd returns a copy of h without hop-by-hop fields and the fields that
// Connection names.
func EndToEnd(h http.Header) http.Header {
	out := h.Clone()
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			out.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		delete(out, name)
	}
	return out
}

// storedFields returns the fields that are stored of a response (section 3.1).
// Set-Cookie is not: a shared cache that replays a cookie gives one client the
// session of another. (Nothing reads Set-Cookie2 any more.) The fields of a
// qualified no-cache or private are left out, as sections 5.2.2.4 and 5.2.2.7
// allow.
func storedFields(h http.Header, c *Directives) http.Header {
	out := EndToEnd(h)
	delete(out, "Set-Cookie")
	for _, name := range c.NoCacheFields {
		delete(out, name)
	}
	for _, name := range c.PrivateFields {
		delete(out, name)
	}
	return out
}
