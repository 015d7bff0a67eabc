package server

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"pkgedge/edge/limit"
)

// Conns bounds the connections of the public listeners, in all and of each client. For one
// too many an idle connection is closed, or else one that has sent a part of a head: of its client,
// or of all. Where there is none, the new one is closed.
//
// It is safe for concurrent use. No connection is closed under its lock, whose Close takes it.
type Conns struct {
	mu      sync.Mutex
	bounds  limit.Bounds
	open    []*conn                // in no order
	clients map[netip.Addr]*client // of open, and no other
	figures ConnFigures
}

// ConnFigures are counts of connections.
type ConnFigures struct {
	Open          int
	Bounds        limit.Bounds
	Refused       limit.Refusals
	IdleClosed    int64 // for another one
	PartialClosed int64 // with a part of a head, for another one
}

// client is one with connections.
type client struct{ conns []*conn }

// Set replaces the bounds. Connections that are over new ones stay until others come.
func (t *Conns) Set(b limit.Bounds) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bounds = b
}

// Figures returns the counts.
func (t *Conns) Figures() ConnFigures {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.figures
	f.Open, f.Bounds = len(t.open), t.bounds
	return f
}

// add counts a connection until it is closed. It is false where there is no place for it.
func (t *Conns) add(c *conn) bool {
	peer := peerOf(c.RemoteAddr())
	closed, added := t.tryAdd(c, limit.ClientOf(peer), peer)
	if closed != nil {
		closed.Close()
	}
	return added
}

// tryAdd returns a connection to be closed for c, if there is one.
func (t *Conns) tryAdd(c *conn, of, peer netip.Addr) (closed *conn, added bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.clients == nil {
		t.clients = make(map[netip.Addr]*client)
	}
	own := t.clients[of]
	switch {
	case own != nil && t.bounds.Each > 0 && len(own.conns) >= t.bounds.Each && !limit.Within(t.bounds.Exempt, peer):
		if closed = longest(own.conns); closed == nil {
			t.figures.Refused.Each++
			return nil, false
		}
	case t.bounds.All > 0 && len(t.open) >= t.bounds.All:
		if closed = longest(t.open); closed == nil {
			t.figures.Refused.All++
			return nil, false
		}
	}
	if closed != nil {
		if idle, _ := closed.activity.Stage(); idle > 0 {
			t.figures.IdleClosed++
		} else {
			t.figures.PartialClosed++
		}
		t.drop(closed)
	}
	if own = t.clients[of]; own == nil { // or its last one has been dropped
		own = new(client)
		t.clients[of] = own
	}
	c.table, c.of, c.at, c.atOwn = t, of, len(t.open), len(own.conns)
	t.open, own.conns = append(t.open, c), append(own.conns, c)
	return closed, true
}

// samples is how many connections longest looks at.
const samples = 64

// slowHead is how many seconds the rest of a head may take before its connection makes place first. A
// head is a packet; one that is sent for seconds is sent to keep others out.
const slowHead = 2

// longest returns the connection, of some at random, that has been sending a head for too long, or that
// has been idle for longest, or else that sends a head. A client with most connections is met most.
func longest(conns []*conn) (found *conn) {
	now := time.Now().Unix() + 1
	most := int64(0)
	for i := range min(samples, len(conns)) {
		c := conns[i]
		if len(conns) > samples {
			c = conns[rand.IntN(len(conns))]
		}
		rank := int64(0)
		switch idle, head := c.activity.Stage(); {
		case idle > 0:
			rank = now - idle + 1<<32
		case head > 0 && now-head > slowHead:
			rank = now - head + 1<<33
		case head > 0:
			rank = now - head
		}
		if rank > most {
			found, most = c, rank
		}
	}
	return found
}

// exempt says whether a client has no bounds of its own.
func (t *Conns) exempt(client net.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return limit.Within(t.bounds.Exempt, peerOf(client))
}

func (t *Conns) remove(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(c)
}

// drop takes a connection out of the table, once. The last one takes its place.
func (t *Conns) drop(c *conn) {
	if c.at < 0 {
		return
	}
	own := t.clients[c.of]
	last, lastOwn := t.open[len(t.open)-1], own.conns[len(own.conns)-1]
	t.open[c.at], own.conns[c.atOwn] = last, lastOwn
	last.at, lastOwn.atOwn = c.at, c.atOwn
	t.open[len(t.open)-1], own.conns[len(own.conns)-1] = nil, nil
	t.open, own.conns = t.open[:len(t.open)-1], own.conns[:len(own.conns)-1]
	c.at = -1
	if len(own.conns) == 0 {
		delete(t.clients, c.of)
	}
}

// bounded is a listener whose connections are counted.
type bounded struct {
	net.Listener
	conns *Conns
}

func (b bounded) Accept() (net.Conn, error) {
	for {
		raw, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, ok := raw.(*conn) // of a proxy
		if !ok {
			c = &conn{Conn: raw}
		}
		c.at = -1
		if b.conns.add(c) {
			return c, nil
		}
		c.Close()
	}
}
