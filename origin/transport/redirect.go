package transport

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
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
	elsewhere := func(r *http.Request) bool { return !SameOrigin(r.URL, via[0].URL) }
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

// SameOrigin compares scheme, host and port (RFC 9110 section 4.3.1).
func SameOrigin(a, b *url.URL) bool {
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

// reach is the part of the network that an address is in.
type reach uint8

const (
	public reach = iota
	loopback
	private // of an organisation: RFC 1918, RFC 4193, RFC 6598
	local   // of a link, and every other address that no master has: metadata services live there
)

var (
	shared  = netip.MustParsePrefix("100.64.0.0/10")
	special = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
	}
)

func reachOf(a netip.Addr) reach {
	a = a.Unmap().WithZone("")
	switch {
	case a.IsLoopback():
		return loopback
	case a.IsPrivate() || shared.Contains(a):
		return private
	case !a.IsGlobalUnicast() || slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) }):
		return local
	}
	return public
}

// newGuarded makes the transports for redirects.
func newGuarded(t Timeouts) map[reach]*http.Transport {
	guarded := make(map[reach]*http.Transport)
	for _, from := range []reach{public, loopback, private, local} {
		tr := newDirect(t)
		tr.Proxy = nil // requests that go through a proxy are sent by direct
		tr.DialContext = (&net.Dialer{
			Timeout: t.Connect,
			Control: func(_, address string, _ syscall.RawConn) error { return permit(from, address) },
		}).DialContext
		guarded[from] = tr
	}
	return guarded
}

// permit says whether a redirect of a master may lead to a resolved address.
func permit(from reach, address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrPrivate, address)
	}
	if r := reachOf(to.Addr()); r != public && r != from {
		return fmt.Errorf("%w: %s", ErrPrivate, to.Addr())
	}
	return nil
}

// redirect sends a request that a redirect of the master leads to, at another host.
func (g *guard) redirect(req *http.Request) (*http.Response, error) {
	if proxy, err := g.direct.Proxy(req); err != nil || proxy != nil {
		// The proxy resolves names and has rules of its own. An address literal is
		// checked here. The proxy hides where the master is.
		if a, err := netip.ParseAddr(req.URL.Hostname()); err == nil && reachOf(a) != public {
			return nil, fmt.Errorf("%w: %s", ErrPrivate, a)
		}
		return g.direct.RoundTrip(req)
	}
	return g.redirects[g.reach()].RoundTrip(req)
}

// reach is where the master is, as far as is known.
func (g *guard) reach() reach {
	if peer := g.peer.Load(); peer != nil {
		if a, err := netip.ParseAddrPort((*peer).String()); err == nil {
			return reachOf(a.Addr())
		}
	}
	if a, err := netip.ParseAddr(g.host); err == nil {
		return reachOf(a)
	}
	return public
}
