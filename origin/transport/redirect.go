package transport

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const maxRedirects = 5

var (
	// ErrRedirects is a chain of redirects that is too long.
	ErrRedirects = errors.New("too many redirects")
	// ErrPrivate is a redirect into a network that the master is not in.
	ErrPrivate = errors.New("redirect to a private address")
	// ErrDowngrade is a redirect that leaves TLS.
	ErrDowngrade = errors.New("redirect from https")
)

// checkRedirect keeps the fields of the client's request from everybody but the
// master. net/http would take another port, or a host below the master's, for the
// master.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return ErrRedirects
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("%w: %s", ErrDowngrade, req.URL.Scheme)
	}
	elsewhere := func(r *http.Request) bool { return !sameOrigin(r.URL, via[0].URL) }
	if elsewhere(req) || slices.ContainsFunc(via, elsewhere) {
		for name := range req.Header {
			if !ownField(name) {
				delete(req.Header, name)
			}
		}
	}
	return nil
}

// ownField lists the fields of a fetch that are the edge's own.
func ownField(name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "User-Agent", "Via", "Cdn-Loop", "If-None-Match", "If-Modified-Since", "Range", "If-Range":
		return true
	}
	return false
}

// sameOrigin compares scheme, host and port (RFC 9110 section 4.3.1).
func sameOrigin(a, b *url.URL) bool {
	host := func(u *url.URL) string { return strings.TrimSuffix(u.Hostname(), ".") } // of a fully qualified name
	return a.Scheme == b.Scheme && strings.EqualFold(host(a), host(b)) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	switch port := u.Port(); {
	case port != "":
		return port
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
