package cache

import (
	"net/http"
	"strings"
	"time"
)

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

// storedHeader is what is kept of a response's fields (RFC 9111 section 3.1).
// Set-Cookie is never kept: a shared cache that replays a cookie gives one
// client another's session. (Nothing reads Set-Cookie2 any more.) The fields that a
// qualified no-cache or private names are left out, which is always allowed.
func storedHeader(h http.Header, c *Directives) http.Header {
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

// keptOn304 lists the fields that describe the stored bytes, which a 304 does
// not replace (RFC 9111 section 3.2).
var keptOn304 = [...]string{"Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Etag"}

// Freshen returns the stored response as a 304 with the given fields renews it
// (RFC 9111 sections 3.2 and 4.3.4). The bytes stay.
func Freshen(m *Meta, h http.Header, requested, received time.Time) *Meta {
	n := *m
	n.Header = m.Header.Clone()
	delete(n.Header, "Age") // the 304's, or none: the old one counted from the old Date
	if len(h["Date"]) == 0 {
		delete(n.Header, "Date")
	}
	c := control(h)
	for name, values := range storedHeader(h, &c) {
		n.Header[name] = values
	}
	for _, name := range keptOn304 {
		if old, ok := m.Header[name]; ok {
			n.Header[name] = old
		} else {
			delete(n.Header, name)
		}
	}
	n.RequestTime, n.ResponseTime = requested, received
	n.fresh = measure(&n)
	return &n
}
