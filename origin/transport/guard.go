package transport

import (
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

// guard sends a master's requests, and those that its redirects lead to. A host
// other than the master's must be at a public address, or in the same part of the
// network as the master: else an attacker in control of a master, or a name it
// redirects to, could read resources that only this machine can reach. The address
// is checked when it is dialled, so that a name that changes its mind in between
// gains nothing.
type guard struct {
	direct    *http.Transport           // to masters
	redirects map[reach]*http.Transport // to the targets of redirects, by where the master is
	host      string                    // the master's
	where     atomic.Uint32             // the master's reach, once it has been connected to
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

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.EqualFold(req.URL.Hostname(), g.host) {
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			if peer, err := netip.ParseAddrPort(info.Conn.RemoteAddr().String()); err == nil {
				g.where.Store(uint32(reachOf(peer.Addr())))
			}
		}}
		return g.direct.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	}
	from := reach(g.where.Load())
	if proxy, err := g.direct.Proxy(req); err != nil || proxy != nil {
		// The proxy resolves names and has rules of its own. An address literal is
		// checked here. The proxy hides where the master is.
		if a, err := netip.ParseAddr(req.URL.Hostname()); err == nil && reachOf(a) != public {
			return nil, fmt.Errorf("%w: %s", ErrPrivate, a)
		}
		return g.direct.RoundTrip(req)
	}
	return g.redirects[from].RoundTrip(req)
}
