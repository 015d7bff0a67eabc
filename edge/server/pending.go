package server

import (
	"errors"
	"net"
	"net/netip"
)

const (
	maxPending          = 1024 // made ready at a time; a handshake takes some 30 KB
	maxClientHandshakes = 128  // of one client: an address, or the first 64 bits of an IPv6 address
)

var errPending = errors.New("too many handshakes are under way")

// pending are the connections that are not ready yet. The caller guards them.
type pending struct {
	perClient int
	conns     map[net.Conn]netip.Prefix
	clients   map[netip.Prefix]int
}

func newPending(perClient int) *pending {
	return &pending{perClient: perClient, conns: make(map[net.Conn]netip.Prefix), clients: make(map[netip.Prefix]int)}
}

// add reports whether there is room for a connection. Without room for one more of its
// client, others have theirs.
func (p *pending) add(c net.Conn) bool {
	from := clientOf(c.RemoteAddr())
	if len(p.conns) >= maxPending || p.clients[from] >= p.perClient {
		return false
	}
	p.conns[c] = from
	p.clients[from]++
	return true
}

func (p *pending) remove(c net.Conn) {
	from, ok := p.conns[c]
	if !ok {
		return
	}
	delete(p.conns, c)
	if p.clients[from]--; p.clients[from] == 0 {
		delete(p.clients, from)
	}
}

// clientOf is the zero Prefix for an address that is none of the Internet's.
func clientOf(a net.Addr) netip.Prefix {
	ip := peerOf(a)
	if !ip.IsValid() {
		return netip.Prefix{}
	}
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(ip.WithZone(""), bits).Masked()
}
