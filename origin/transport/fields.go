package transport

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Identify adds an edge to Via (RFC 9110 section 7.6.3) and CDN-Loop (RFC 8586).
func Identify(h http.Header, edge string) {
	h["Via"] = append(h["Via"][:len(h["Via"]):len(h["Via"])], "1.1 "+edge)
	h["Cdn-Loop"] = append(h["Cdn-Loop"][:len(h["Cdn-Loop"]):len(h["Cdn-Loop"])], edge)
}

// Authorize presents the edge's own credential, where it has one.
func Authorize(h http.Header, credential string) {
	if credential != "" {
		h["Authorization"] = []string{credential}
	}
}

// RetryAfter reads Retry-After in seconds, at most a minute.
func RetryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(h.Get("Retry-After")))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 60)) * time.Second
}

const (
	// clockError is how far a master's clock may be off before its Date counts
	// for nothing.
	clockError = 24 * time.Hour
	// oldestFile is the largest believable Age of a file, which a cache before
	// the master may keep for a year; a document is at most clockError old.
	oldestFile = 366 * 24 * time.Hour
)

// Sanitize makes a response fit to be stored, and returns a word for each thing
// that no master should send, for metrics. A response must not be fresh for ever,
// nor stale at once, because a clock is wrong. The edge chose the fields that it
// varies by. Its cookies are the edge's own. A file may be older than metadata.
func Sanitize(r *http.Response, file bool, now time.Time) (odd []string) {
	h := r.Header
	delete(h, "Vary")
	if len(h["Set-Cookie"]) > 0 {
		delete(h, "Set-Cookie")
		odd = append(odd, "cookie")
	}
	if len(r.Trailer) > 0 {
		r.Trailer = nil // and nothing reads those that follow the body
		odd = append(odd, "trailers")
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil || date.Sub(now).Abs() > clockError {
		if h.Get("Date") != "" {
			delete(h, "Expires") // by the same clock
			odd = append(odd, "date")
		}
		date = now
		h.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	if expires, err := http.ParseTime(h.Get("Expires")); !file && err == nil && expires.Sub(date) > clockError {
		delete(h, "Expires")
	}
	oldest := clockError
	if file {
		oldest = oldestFile
	}
	if age := h.Get("Age"); age != "" {
		n, err := strconv.ParseUint(strings.TrimSpace(age), 10, 32)
		if err != nil || time.Duration(n)*time.Second > oldest {
			delete(h, "Age")
			odd = append(odd, "age")
		}
	}
	return odd
}

// Localize rewrites the Location of a response to a request for target at the
// master under base, for a client that sees the master under public. A master that
// names itself would send the client, and its credentials, past the edge. A path
// is one of the master's.
func Localize(h http.Header, target, base *url.URL, public string) {
	l, err := url.Parse(h.Get("Location"))
	if err != nil || l.Host == "" && !strings.HasPrefix(l.Path, "/") {
		return // relative to the path below the base, which is the same here
	}
	to := target.ResolveReference(l)
	below, ok := Below(to, base)
	if !ok {
		h.Set("Location", to.String())
		return
	}
	if u, err := url.Parse(public); err == nil && l.Host == "" {
		// A path stays one, unless it would be read as a host.
		if path := u.EscapedPath() + below; strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
			public = u.EscapedPath()
		}
	}
	h.Set("Location", public+below)
}

// Below is the part of a URL that follows a master's base: its path as escaped as it is,
// its query and its fragment. ok is false for a URL that is not the master's.
func Below(u, base *url.URL) (below string, ok bool) {
	path, ok := strings.CutPrefix(u.EscapedPath(), basePath(base))
	if !ok || path != "" && path[0] != '/' || !SameOrigin(u, base) {
		return "", false
	}
	rest := url.URL{RawQuery: u.RawQuery, ForceQuery: u.ForceQuery, Fragment: u.Fragment, RawFragment: u.RawFragment}
	return path + rest.String(), true
}

// BelowIn is Below for a whole URL in a response from target.
func BelowIn(text string, target, base *url.URL) (below string, ok bool) {
	u, err := target.Parse(text)
	if err != nil || !strings.HasPrefix(text, u.Scheme+"://") {
		return "", false
	}
	return Below(u, base)
}

// InTrouble says that another master may have a better answer.
func InTrouble(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Join appends an escaped path to a master's base, which stays as escaped as it is.
func Join(base *url.URL, path string) string {
	return base.Scheme + "://" + base.Host + basePath(base) + path
}

func basePath(u *url.URL) string { return strings.TrimSuffix(u.EscapedPath(), "/") }

// CacheControl is a Cache-Control in place of that of h. no-transform stays: it is
// about the content, and no shorter lifetime lifts it (RFC 9110 section 7.7).
func CacheControl(h http.Header, value string) string {
	for _, line := range slices.Concat(h["Cache-Control"], h["Cdn-Cache-Control"]) {
		for directive := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(directive), "no-transform") {
				return value + ", no-transform"
			}
		}
	}
	return value
}

// A fetch is shared: one client's request makes the response that others get. So its
// fields must not be able to tell a master anything about the place of the resource, the
// way of the request, or the client (docs/decisions/0021). Three rules decide, in this order:
//
//   - the fields of selecting, which are made to choose a response, go forward;
//   - a name that is not letters, digits and hyphens does not, for CGI and its heirs read
//     X_Forwarded_Host as X-Forwarded-Host;
//   - nor does a name with one of the words of words in it, in any place.
//
// The rest goes forward: an origin may choose by any field that its Vary names.

// maxForwarded is the size of the fields, in bytes, that go to a master with a fetch. With
// more than servers usually take, one client could make a master answer with an error that
// others get.
const maxForwarded = 8 << 10

// Forward copies the fields of a client's request that go to a master with a
// fetch.
func Forward(to, from http.Header) {
	hop := connectionFields(from)
	for name, values := range from {
		if forwarded(name) && !slices.Contains(hop, name) {
			to[name] = values
		}
	}
	KeepTrace(to)
}

// maxTraceState is the size of the largest Tracestate that goes on, in bytes: twice as much as W3C
// Trace Context, section 3.3.1.5, asks for.
const maxTraceState = 1 << 10

// KeepTrace deletes Traceparent where it is not well-formed, and with it Tracestate, which means
// nothing alone. The edge is no part of a trace itself: it passes on the identity of its client.
func KeepTrace(h http.Header) {
	parent, named := h["Traceparent"]
	state := h["Tracestate"]
	if !named && state == nil {
		return
	}
	if len(parent) != 1 || TraceID(parent[0]) == "" {
		delete(h, "Traceparent")
		state = nil
	}
	size := 0
	for _, line := range state {
		size += len(line)
	}
	if size == 0 || size > maxTraceState {
		delete(h, "Tracestate")
	}
}

// TraceID is the trace's ID of a well-formed traceparent (W3C Trace Context, section 3.2), empty for
// another. Later versions may add something behind a hyphen.
func TraceID[text string | []byte](traceparent text) (id text) {
	const (
		idAt, parentAt, flagsAt, end = 3, 36, 53, 55
		longest                      = 128
	)
	t := traceparent
	if len(t) < end || len(t) > longest || t[idAt-1] != '-' || t[parentAt-1] != '-' || t[flagsAt-1] != '-' {
		return id
	}
	for i := range len(t) {
		switch c := t[i]; {
		case i == idAt-1, i == parentAt-1, i == flagsAt-1:
		case i == end && c != '-', i > end && (c <= ' ' || c >= 0x7f), i < end && !('0' <= c && c <= '9' || 'a' <= c && c <= 'f'):
			return id
		}
	}
	isFirst := t[0] == '0' && t[1] == '0'
	if t[0] == 'f' && t[1] == 'f' || isFirst && len(t) != end || zeros(t[idAt:parentAt-1]) || zeros(t[parentAt:flagsAt-1]) {
		return id
	}
	return t[idAt : parentAt-1]
}

func zeros[text string | []byte](t text) bool {
	for i := range len(t) {
		if t[i] != '0' {
			return false
		}
	}
	return true
}

// ForwardHops copies the fields that tell which way a client's request came: no hop may
// drop them, and they go to hosts that get nothing else of it.
func ForwardHops(to, from http.Header) {
	for _, name := range []string{"Via", "Cdn-Loop"} {
		if values := from[name]; len(values) > 0 {
			to[name] = values
		}
	}
}

// TooManyFields reports whether Forward would copy more than a master should get.
func TooManyFields(h http.Header) bool {
	all := func(string) bool { return true }
	return sizeOf(h, all) > maxForwarded && sizeOf(h, forwarded) > maxForwarded // hits have this on their way
}

// sizeOf is the size of some fields, in bytes.
func sizeOf(h http.Header, some func(name string) bool) (size int) {
	for name, values := range h {
		if !some(name) {
			continue
		}
		for _, v := range values {
			size += len(name) + len(": ") + len(v) + len("\r\n")
		}
	}
	return size
}

// connectionFields lists the fields that the sender's Connection names: they
// concern that connection alone (RFC 9110 section 7.6.1).
func connectionFields(h http.Header) []string {
	var named []string
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			named = append(named, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	return named
}

// forwarded says whether a field of the client's request goes to a master with a fetch.
func forwarded(name string) bool {
	return selecting(name) || plain(name) && !hasWord(name, words)
}

// selecting are the fields that responses are made by (RFC 9110 section 12.5), and those
// that the edge and caches behind it need. Origin is among the selecting fields of each
// response, see cache/policy.
func selecting(name string) bool {
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "User-Agent", "Origin",
		"Authorization", "Cache-Control", "Pragma", "Via", "Cdn-Loop":
		return true
	}
	return false
}

// plain reports whether a name cannot be read as another one.
func plain(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-')
	})
}

// words are the words of fields that do not go forward with a fetch. Conditions and ranges
// are the edge's own, as are the connection and its framing. A response made for the owner
// of a cookie has no place in a shared cache. The others tell a master where a resource is,
// by which way and from where a request came, that it is another request, or has content.
func words(word string) bool {
	switch word {
	case "If", "Range", "Connection", "Alive", "Te", "Trailer", "Transfer", "Upgrade", "Expect", "Max", "Cookie", "Cookie2", "Content",
		"Host", "Hostname", "Domain", "Port", "Scheme", "Proto", "Protocol", "Https", "Ssl", "Tls", "Cert", "Url", "Uri", "Path", "Pathinfo", "Query", "Prefix", "Script", "Base", "Root",
		"Forwarded", "Forward", "Via", "Proxy", "Server", "Backend", "Upstream", "Gateway", "Route", "Router", "Rewrite", "Redirect", "Destination", "Location", "Original", "Origin", "Wap",
		"Client", "Ip", "Ips", "Addr", "Address", "Remote", "Real", "Connecting", "Peer", "User", "Referer", "Referrer", "From", "Country", "Geo", "Sec", "Purpose", "Early",
		"Method", "Override", "Overwrite", "Action", "Depth", "Translate", "Http", "Surrogate", "Cdn", "Cf", "Cloudfront", "Fastly", "Akamai", "Fly", "Azure", "Debug":
		return true
	}
	return false
}

// Mislead says whether a field of a request that is passed could pretend a way that
// the request has not come, or another request. Nothing that is passed is stored, so
// that other fields are between the client and the master.
func Mislead(name string) bool {
	return !plain(name) || hasWord(name, func(word string) bool {
		switch word {
		case "Forwarded", "Proxy", "Override", "Rewrite", "Real", "Ip":
			return true
		}
		return false
	}) || name == "X-Host" || name == "X-Http-Method" || strings.HasPrefix(name, "X-Original-")
}

// hasWord reports whether one of the words of a canonical name, between hyphens, is one
// of a set.
func hasWord(name string, set func(word string) bool) bool {
	for word := range strings.SplitSeq(name, "-") {
		if set(word) {
			return true
		}
	}
	return false
}
