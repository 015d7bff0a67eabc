package framing

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// Activity tells others how long a connection has been idle, or has been sending a
// head. Any goroutine may ask.
type Activity struct {
	since atomic.Int64 // in seconds: idle since then; of a head, below zero; 0 is at work
}

// Stage returns the second since which the connection has been idle, or a head has been
// under way. Both are 0 while it is at work.
func (a *Activity) Stage() (idle, head int64) {
	switch since := a.since.Load(); {
	case since > 0:
		return since, 0
	default:
		return 0, -since
	}
}

// Idle says that the connection waits for a request.
func (a *Activity) Idle(since time.Time) { a.set(since.Unix()) }

// Head says that a part of a head has come.
func (a *Activity) Head(since time.Time) { a.set(-since.Unix()) }

// Work says that a request is being read or answered.
func (a *Activity) Work() { a.set(0) }

// set writes only changes.
func (a *Activity) set(since int64) {
	if a.since.Load() != since {
		a.since.Store(since)
	}
}

// StateChanged follows a connection of HTTP/2, of which nothing else is seen.
func (a *Activity) StateChanged(s http.ConnState) {
	switch s {
	case http.StateNew, http.StateIdle:
		a.Idle(time.Now())
	case http.StateActive:
		a.Work()
	}
}

// ActivityOf returns that of a connection which has one, plain or below TLS, nil for another.
func ActivityOf(c net.Conn) *Activity {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if below, ok := c.(*records); ok {
		c = below.Conn
	}
	if active, ok := c.(interface{ Activity() *Activity }); ok {
		return active.Activity()
	}
	return nil
}

// Heads bounds how many heads a client sends in parts at a time.
type Heads interface {
	Enter(client netip.Addr) bool
	Leave(client netip.Addr)
}

// enterHead counts a head of which a part has come.
func (c *Conn) enterHead() error {
	if c.activity.since.Load() >= 0 {
		c.activity.Head(time.Now())
	}
	if c.guard.Heads == nil || c.inHead.Load() {
		return nil
	}
	if !c.guard.Heads.Enter(c.peer) {
		return errHeads
	}
	c.inHead.Store(true)
	if c.isClosed.Load() { // Close has come between
		c.leaveHead()
	}
	return nil
}

func (c *Conn) leaveHead() {
	if c.inHead.Load() && c.inHead.CompareAndSwap(true, false) {
		c.guard.Heads.Leave(c.peer)
	}
}
