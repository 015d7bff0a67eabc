package origin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
)

const maxRedirects = 5

var (
	errRedirects = errors.New("too many redirects")
	// errPrivate is a redirect into a network that the master is not in.
	errPrivate = errors.New("redirect to a private address")
)

// checkRedirect keeps what the client sent with its request from everybody but
// the master. net/http would take another port, or a host below the master's,
// for the master.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errRedirects
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("redirect from https to %s", req.URL.Scheme)
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

// reach is the part of the network that an address is in.
type reach uint8

const (
	public reach = iota
	loopback
	private // of an organisation: RFC 1918, RFC 4193, RFC 6598
	local   // of a link, and whatever else no master has: metadata services live there
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

// follower sends a master's requests, and those that its redirects lead to. What
// is not at the master's own host must be at a public address, or in the same
// part of the network as the master: else whoever controls a master, or a name
// it redirects to, could read what only this machine can reach. The address is
// looked at when it is dialled, so that a name that changes its mind in between
// gains nothing.
type follower struct {
	direct *http.Transport           // to masters
	beyond map[reach]*http.Transport // to where redirects lead, by where the master is
	host   string                    // the master's
	where  atomic.Uint32             // the master's reach, once it has been connected to
}

// newBeyond makes the transports for redirects.
func newBeyond(t Timeouts) map[reach]*http.Transport {
	beyond := make(map[reach]*http.Transport)
	for _, from := range []reach{public, loopback, private, local} {
		tr := newTransport(t)
		tr.Proxy = nil // what goes through one is sent by direct
		tr.DialContext = (&net.Dialer{
			Timeout: t.Connect,
			Control: func(_, address string, _ syscall.RawConn) error { return permit(from, address) },
		}).DialContext
		beyond[from] = tr
	}
	return beyond
}

// permit says whether a redirect of a master may lead to a resolved address.
func permit(from reach, address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errPrivate, address)
	}
	if r := reachOf(to.Addr()); r != public && r != from {
		return fmt.Errorf("%w: %s", errPrivate, to.Addr())
	}
	return nil
}

func (f *follower) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.EqualFold(req.URL.Hostname(), f.host) {
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			if peer, err := netip.ParseAddrPort(info.Conn.RemoteAddr().String()); err == nil {
				f.where.Store(uint32(reachOf(peer.Addr())))
			}
		}}
		return f.direct.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	}
	from := reach(f.where.Load())
	if proxy, err := f.direct.Proxy(req); err != nil || proxy != nil {
		// The proxy resolves names and has rules of its own; what is written as
		// an address is looked at here. Where the master is, the proxy hides.
		if a, err := netip.ParseAddr(req.URL.Hostname()); err == nil && reachOf(a) != public {
			return nil, fmt.Errorf("%w: %s", errPrivate, a)
		}
		return f.direct.RoundTrip(req)
	}
	return f.beyond[from].RoundTrip(req)
}
