package policy

import (
	"net/http"
	"strings"
)

// Storable says whether a response may be stored (RFC 9111 section 3), and is
// worth it. Status 206 and 304 are not stored as they are.
func Storable(rule Rule, q Request, status int, h http.Header) bool {
	c := control(h)
	if q.Method != http.MethodGet || q.Control.NoStore {
		return false
	}
	if status < 200 || status == http.StatusPartialContent || status == http.StatusNotModified {
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
	if varyAny(h) { // section 4.1: would never be selected
		return false
	}
	return states(c, h) || rule.givesLifetime(status) || heuristicallyCacheable(status) &&
		(c.NoCache || rule.Heuristic && h.Get("Last-Modified") != "" || h.Get("ETag") != "")
}

// states: the response says by itself that it may be stored, or for how long.
func states(c Directives, h http.Header) bool {
	return c.MaxAge != absent || c.SMaxAge != absent || len(h["Expires"]) > 0 || c.Public
}

// StatesLifetime says whether a response states by itself how long it is fresh.
func StatesLifetime(h http.Header) bool {
	c := control(h)
	return c.MaxAge > 0 || c.SMaxAge > 0 || len(h["Expires"]) > 0
}

// understood lists the final status codes whose caching rules this cache
// implements (RFC 9111 section 3, RFC 9110 section 15).
func understood(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406,
		408, 409, 410, 411, 412, 413, 414, 415, 417, 421, 422, 429, 451,
		500, 501, 502, 503, 504:
		return true
	}
	return false
}

// heuristicallyCacheable: RFC 9110 section 15.1, without 206.
func heuristicallyCacheable(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// hopByHop lists the fields that concern one connection (RFC 9110 section
// 7.6.1, and the older Keep-Alive and Proxy-Connection), and those of proxy
// authentication, which end at the next hop.
var hopByHop = [...]string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
	"Proxy-Authentication-Info", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// EndToEnd returns a copy of h without hop-by-hop fields and those that
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

// storedFields is what is kept of a response's fields (RFC 9111 section 3.1).
// Set-Cookie is never kept: a shared cache that replays a cookie gives one
// client another's session. (Nothing reads Set-Cookie2 any more.) The fields that a
// qualified no-cache or private names are left out, which is always allowed.
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
