package framing

import (
	"sync"
	"time"
)

// rearm is how much of a deadline may pass before an answer of the lane sets it anew: a
// deadline costs a tenth of an answer.
const rearm = 4 * time.Second

// Send is for the lane. It writes an answer, at the time now.
func (c *Conn) Send(now time.Time, head []byte, body Body) (n int64, err error) {
	c.answered = now
	c.extendSend(now)
	c.paced = 0
	if second := now.Unix(); c.activity.since.Load() != second {
		c.activity.since.Store(second)
	}
	switch {
	case c.socket != nil:
		n, err = c.socket.Send(head, body, c)
	case c.records != nil:
		n, err = c.records.answer(c, head, body)
	default:
		n, err = c.send(head, body)
	}
	if c.activity.since.Load() == 0 { // it has waited
		c.activity.Idle(time.Now())
	}
	return n, err
}

// send writes an answer to any connection.
func (c *Conn) send(head []byte, body Body) (int64, error) {
	buf := pieces.Get().(*[recordSize]byte)
	defer pieces.Put(buf)
	return c.sendPieces(buf[:], head, body)
}

// recordSize is the size of the largest record of TLS before encryption.
const recordSize = 16 << 10

// pieces are for bodies that are read to be written.
var pieces = sync.Pool{New: func() any { return new([recordSize]byte) }}

// sendPieces writes an answer to any connection by way of buf: first the head with the
// beginning of the body, so that they share a record of TLS.
func (c *Conn) sendPieces(buf, head []byte, body Body) (int64, error) {
	size, room := body.Size(), len(buf)
	if body.File == nil {
		room = recordSize // the rest need not be copied
	}
	first := append(buf[:0], head...) // is another buffer for a head that is too long
	done := min(size, int64(max(0, room-len(first))))
	first = first[:len(head)+int(done)]
	if err := body.read(first[len(head):], 0); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(first)
	sent := int64(n)
	for err == nil && done < size {
		var next []byte
		if body.File == nil {
			next = body.Bytes[done:min(size, done+pace)]
		} else {
			next = buf[:min(size-done, int64(len(buf)))]
			if err = body.read(next, done); err != nil {
				break
			}
		}
		c.waits(sent)
		n, err = c.Conn.Write(next)
		sent += int64(n)
		done += int64(len(next))
	}
	return sent, err
}

// pace is the number of bytes for which a client has Guard.Stalled.
const pace = 256 << 10

// waits is told that an answer waits for its client, when so many bytes have been sent.
func (c *Conn) waits(sent int64) {
	c.activity.since.Store(0)
	if sent-c.paced >= pace {
		c.paced = sent
		c.extendSend(time.Now())
	}
}

// extendSend sets the deadline of an answer. It is in a minute or a little less: a deadline
// costs a tenth of an answer.
func (c *Conn) extendSend(now time.Time) {
	if c.sendUntil.Sub(now) < c.guard.Stalled-rearm {
		c.sendUntil = now.Add(c.guard.Stalled)
		c.Conn.SetWriteDeadline(c.sendUntil)
	}
}

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
