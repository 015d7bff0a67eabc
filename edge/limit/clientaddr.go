package limit

import (
	"net/netip"
	"strings"
)

// maxHops bounds how many entries of X-Forwarded-For are looked at.
const maxHops = 32

// ClientAddr is the address to hold answerable for a request: that of the peer,
// or, when the peer is one of the trusted proxies, the rightmost address of
// X-Forwarded-For that is not. Entries further left were written by that client
// and prove nothing.
//
// Values holds the header's field lines in the order of arrival. An entry is an
// address, or an address and a port, IPv6 in brackets or bare. One that is
// neither ends the walk, and so does the 32nd: the proxy that reported it is
// then answerable. So is the leftmost when all are trusted.
func ClientAddr(peer netip.Addr, values []string, trusted []netip.Prefix) netip.Addr {
	client := peer.Unmap()
	hops := 0
	for i := len(values) - 1; i >= 0; i-- {
		rest, more := values[i], true
		for more {
			if hops == maxHops || !Within(trusted, client) {
				return client
			}
			hops++
			var entry string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, entry = rest[:comma], rest[comma+1:]
			} else {
				entry, more = rest, false
			}
			a, ok := forwarded(strings.Trim(entry, " \t"))
			if !ok {
				return client
			}
			client = a
		}
	}
	return client
}

// forwarded reads one entry of X-Forwarded-For.
func forwarded(entry string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(entry); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(entry); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(entry, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			a, err := netip.ParseAddr(inner)
			if err == nil && a.Is6() {
				return a.Unmap().WithZone(""), true
			}
		}
	}
	return netip.Addr{}, false
}
