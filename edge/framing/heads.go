package framing

import (
	"net/netip"
	"time"
)

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
	if c.inHead.CompareAndSwap(true, false) {
		c.guard.Heads.Leave(c.peer)
	}
}
