package limit

import (
	"net/netip"
	"sync"
)

// Ceiling bounds how many of one thing there are at a time: in all, and of each client. The
// zero Ceiling has no bounds. A client is the one that [Limiter] means.
//
// The table has an entry for each client that has one under way, and no other: a flood of
// addresses pushes nobody out of it, and its size is bounded by the things themselves.
type Ceiling struct {
	mu      sync.Mutex
	bounds  Bounds
	n       int
	clients map[netip.Addr]int
	refused Refusals
}

// Bounds are those of a Ceiling. Zero is no bound.
type Bounds struct {
	All, Each int
	Exempt    []netip.Prefix // clients that are bounded by All alone
}

// Refusals counts those that a Ceiling has not let in.
type Refusals struct{ All, Each int64 }

// Verdict is a Ceiling's answer.
type Verdict int

// The verdicts of Enter. Only after Entered does Leave follow.
const (
	Entered   Verdict = iota
	FullOfAll         // there are All already
	FullOfOwn         // the client has Each already
)

// Set replaces the bounds. Those that are over new ones stay.
func (c *Ceiling) Set(b Bounds) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bounds = b
}

// Enter counts one of a client, until Leave.
func (c *Ceiling) Enter(client netip.Addr) Verdict {
	own := ClientOf(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bounds.Each > 0 && c.clients[own] >= c.bounds.Each && !Within(c.bounds.Exempt, client.Unmap()) {
		c.refused.Each++
		return FullOfOwn
	}
	if c.bounds.All > 0 && c.n >= c.bounds.All {
		c.refused.All++
		return FullOfAll
	}
	if c.clients == nil {
		c.clients = make(map[netip.Addr]int)
	}
	c.n++
	c.clients[own]++
	return Entered
}

// Leave ends one of a client.
func (c *Ceiling) Leave(client netip.Addr) {
	own := ClientOf(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	if c.clients[own]--; c.clients[own] == 0 {
		delete(c.clients, own)
	}
}

// Places are those that a request has under ceilings. The zero Places has none.
type Places struct {
	under [3]*Ceiling
	n     int
}

// Enter counts the request of a client under a ceiling, once.
func (p *Places) Enter(c *Ceiling, client netip.Addr) Verdict {
	for _, has := range p.under[:p.n] {
		if has == c {
			return Entered
		}
	}
	verdict := c.Enter(client)
	if verdict == Entered {
		p.under[p.n] = c
		p.n++
	}
	return verdict
}

// Leave ends the request.
func (p *Places) Leave(client netip.Addr) {
	for _, c := range p.under[:p.n] {
		c.Leave(client)
	}
	p.n = 0
}

// Figures returns how many there are, how many may be, and how many were refused.
func (c *Ceiling) Figures() (n int, bounds Bounds, refused Refusals) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n, c.bounds, c.refused
}

// Ceilings are those of an edge. They outlive configurations.
type Ceilings struct {
	Requests Ceiling // being answered by net/http's handlers
	Bodies   Ceiling // of those, such that have a body
	Misses   Ceiling // of those, such that wait for a fetch of which nothing is stored
	Heads    Ceiling // of requests, which come in parts
}

// ClientOf returns the address that stands for a client: an IPv4 address, or an IPv6 /64.
func ClientOf(addr netip.Addr) netip.Addr {
	if addr = addr.Unmap(); !addr.Is6() {
		return addr
	}
	p, err := addr.Prefix(64) // also drops the zone
	if err != nil {
		return addr
	}
	return p.Addr()
}
