package framing

import (
	"net"
	"net/netip"
	"time"
)

// rearm is how much of a deadline may pass before an answer of the lane sets it anew: a
// deadline costs a tenth of an answer.
const rearm = 4 * time.Second

// mayAnswer reports whether the lane, where there is one, may be asked for a request. The
// package's comment has the rule, of which Conn.head checks the rest.
func (c *Conn) mayAnswer(h *Head) bool {
	return h.Length == 0 && !h.Odd
}

// answer has the lane answer a request. Close waits for it to end.
func (c *Conn) answer(h *Head) bool {
	if !c.use.CompareAndSwap(free, answering) {
		c.broken = net.ErrClosed
		return true
	}
	answered, err := c.guard.Lane.Answer(c, h)
	if err != nil {
		c.broken = readError(err)
	}
	if !c.use.CompareAndSwap(answering, free) { // Close was called meanwhile
		c.use.Store(closed)
		c.Conn.Close()
		c.broken = net.ErrClosed
	}
	return answered || c.broken != nil
}

// Send is for the lane. It writes an answer, at the time now. The body may be nil.
func (c *Conn) Send(now time.Time, head, body []byte) (int64, error) {
	if c.sendUntil.Sub(now) < c.guard.Stalled/2 {
		c.sendUntil = now.Add(c.guard.Stalled)
		c.Conn.SetWriteDeadline(c.sendUntil)
	}
	c.answered = now
	if second := now.Unix(); c.activity.since.Load() != second {
		c.activity.since.Store(second)
	}
	if c.socket != nil {
		n, err := c.socket.Send(head, body)
		return int64(n), err
	}
	n, err := c.Conn.Write(head)
	if err != nil || len(body) == 0 {
		return int64(n), err
	}
	m, err := c.Conn.Write(body)
	return int64(n + m), err
}

// Peer is the address of the client's end, the zero Addr where it has none.
func (c *Conn) Peer() netip.Addr { return c.peer }

// Secure reports whether the connection is one of TLS.
func (c *Conn) Secure() bool { return c.secure }

// extendIdle sets the deadline of the wait for a request after an answer of the lane, of
// which net/http knows nothing.
func (c *Conn) extendIdle() {
	if c.readUntil.Sub(c.answered) < c.guard.Idle-rearm {
		c.readUntil = c.answered.Add(c.guard.Idle)
		c.Conn.SetReadDeadline(c.readUntil)
	}
}

// Close closes the connection. While the lane answers, only a second call does at once:
// http.Server.Shutdown takes such a connection for an idle one, and would cut the answer.
func (c *Conn) Close() error {
	c.isClosed.Store(true)
	c.leaveHead()
	switch {
	case c.use.CompareAndSwap(free, closed):
		return c.Conn.Close()
	case c.use.CompareAndSwap(answering, closing):
		return nil
	}
	c.use.Store(closed)
	return c.Conn.Close()
}
