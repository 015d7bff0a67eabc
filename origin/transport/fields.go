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
