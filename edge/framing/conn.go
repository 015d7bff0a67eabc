package framing

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Guard is the part that the connections of a listener share.
type Guard struct {
	Lane    Lane  // nil for none
	Heads   Heads // nil for no bound
	Idle    time.Duration
	Header  time.Duration // how long a head may take from its first byte, as net/http has it
	Stalled time.Duration // how long a Send may take
	// Refused is told of each request that is refused with an answer, of which no handler
	// hears, with an Error; and of a connection on which net/http and the guard differ.
	Refused func(client net.Addr, reason error)

	gathering atomic.Int32 // answers whose records are gathered
}

// Lane answers requests in the place of net/http.
type Lane interface {
	// Answer answers a request with one Send on c, or reports false and sends nothing. An
	// error of the Send ends the connection.
	Answer(c *Conn, h *Head) (answered bool, err error)
}

// Conn is a connection for net/http whose requests are judged. See the package comment.
type Conn struct {
	net.Conn
	guard   *Guard
	socket  *socket // of a plain connection, nil where there is none
	peer    netip.Addr
	version uint16   // of TLS, 0 without
	records *records // below TLS, nil where there is none

	activity         *Activity
	inHead, isClosed atomic.Bool

	// The fields of the side that reads. net/http reads from one goroutine at a time, and
	// changes states on the one that serves the connection.
	full   int // size of net/http's buffer, as the first Read has it
	stage  stage
	left   int64  // bytes of a body or chunk
	part   []byte // of a head or line that has come in parts, and has been handed up
	line   int    // where its last line begins
	judged judge  // its lines before that
	rest   []byte // bytes behind the end of the message, held back
	before emptyLines
	broken error // of every further Read
	isNew  bool  // net/http's http.StateNew

	// The deadlines that answers of the lane have set.
	answered             time.Time // of the last one since a byte was handed up
	readUntil, sendUntil time.Time
	paced                int64 // bytes of the answer under way when sendUntil was set

	use atomic.Int32 // free, and so on
}

// stage is the place in the message that is handed up.
type stage uint8

const (
	atHead     stage = iota // net/http waits for a request, or has been given a part of its head
	inBody                  // of a known length
	atChunk                 // the line before a chunk
	inChunk                 // its bytes
	afterChunk              // the CRLF behind them
	atTrailer               // lines behind the last chunk
	atEnd                   // the message is whole, and net/http is at work on it
	isHijacked              // the bytes are not HTTP any more
)

// Uses of a connection.
const (
	free      = iota
	answering // by the lane
	closing   // while the lane answers: closed after that
	closed
)

var (
	errHeadLimit Error = "the head of the request is too long"
	// errDesynchronised is a fault of this package, or a change in net/http.
	errDesynchronised = errors.New("framing: net/http and the guard differ about the end of a message")
)

// maxHead is more than net/http takes, which has its own answer for that.
const maxHead = 64 << 10

// Peer is the address of the client's end, the zero Addr where it has none.
func (c *Conn) Peer() netip.Addr { return c.peer }

// Secure reports whether the connection is one of TLS.
func (c *Conn) Secure() bool { return c.version != 0 }

// TLS is the connection's version of TLS, as in crypto/tls, and 0 without.
func (c *Conn) TLS() uint16 { return c.version }

// StateChanged is http.Server.ConnState for connections that Wrap and WrapFrames returned.
func StateChanged(c net.Conn, s http.ConnState) {
	if c, ok := c.(interface{ setState(http.ConnState) }); ok {
		c.setState(s)
	}
}

func (c *Conn) setState(s http.ConnState) {
	switch s {
	case http.StateNew:
		return
	case http.StateIdle:
		if c.stage != atEnd {
			c.breakOff(errDesynchronised)
		}
		c.stage = atHead
		c.activity.Idle(time.Now())
	case http.StateHijacked:
		c.stage = isHijacked
	}
	c.isNew = false
}

// Read hands up bytes of one message. It has the lane answer requests until there is a
// byte to hand up.
func (c *Conn) Read(p []byte) (int, error) {
	if c.full == 0 {
		c.full = len(p)
	}
	for {
		if c.stage == atEnd && len(p) > 1 {
			c.breakOff(errDesynchronised)
		}
		if c.before.err != nil && c.stage == atHead && c.broken == nil { // as a background read has found
			c.refuse(c.before.err)
		}
		if c.broken != nil {
			return 0, c.broken
		}
		held := c.rest
		n := copy(p, held)
		if n == 0 {
			if !c.answered.IsZero() {
				c.extendIdle()
			}
			var err error
			if n, err = c.read(p); n == 0 {
				return 0, err // an error beside bytes is the next Read's as well
			}
		}
		used, left, err := c.follow(p, n)
		switch {
		case len(held) > 0:
			c.rest = held[n-left:]
		case left > 0:
			c.rest = bytes.Clone(p[used : used+left])
		}
		if err == nil && used > 0 {
			if c.stage == atHead {
				err = c.enterHead()
			} else {
				c.activity.Work()
			}
		}
		if err != nil {
			c.refuse(err)
		} else if used > 0 {
			c.handUp()
			return used, nil
		}
	}
}

func (c *Conn) read(p []byte) (int, error) {
	if c.socket != nil {
		return c.socket.Read(p)
	}
	return c.Conn.Read(p)
}

// follow follows the first n bytes of p up to the end of a message. Requests that the lane
// answers are taken out of p. It returns the number of bytes to hand up, and of those that
// are left behind them.
func (c *Conn) follow(p []byte, n int) (used, left int, err error) {
	switch {
	case c.stage == isHijacked:
		return n, 0, nil
	case c.stage == atEnd: // one byte, for a background read
		if c.before.end(p[0]) {
			return 0, 0, nil
		}
		c.part = append(c.part, p[:n]...)
		return n, 0, nil
	case c.stage == atHead && len(c.part) == 0:
		if used, n, err = c.head(p, n); err != nil {
			return 0, 0, err
		}
	}
	for used < n && c.stage != atEnd {
		size, err := c.step(p[used:n])
		if err != nil && used == 0 {
			return 0, 0, err
		}
		if err != nil { // of the body: its handler has the bytes before, and then the error
			c.refuse(err)
			return used, 0, nil
		}
		used += size
	}
	return used, n - used, nil
}

// heads are for the time in which bytes are looked at, so that idle connections have none.
var heads = sync.Pool{New: func() any { return new(Head) }}

// head reads a head at the beginning of p, where nothing of it has been handed up. It
// returns the head's size and the number of bytes in p once the lane has answered. The size
// is 0 for a head that is not whole.
func (c *Conn) head(p []byte, n int) (size, rest int, err error) {
	h := heads.Get().(*Head)
	defer heads.Put(h)
	b := p[:n]
	for len(b) > 0 {
		if b[0] <= '\r' || c.before != (emptyLines{}) {
			if b, err = c.before.cut(b); len(b) == 0 || err != nil {
				break
			}
		}
		if size, err = h.Parse(b); size == 0 || err != nil {
			break
		}
		if len(p) != c.full || c.guard.Lane == nil || !c.mayAnswer(h) || !c.answer(h) {
			c.begin(h)
			break
		}
		if b, size, c.before = b[size:], 0, (emptyLines{}); c.broken != nil {
			return 0, 0, nil
		}
	}
	if len(b) < n {
		copy(p, b)
	}
	return size, len(b), err
}

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

// begin begins a message whose head has been read.
func (c *Conn) begin(h *Head) {
	c.part, c.line, c.judged, c.before = nil, 0, judge{}, emptyLines{}
	if c.inHead.Load() {
		c.leaveHead()
	}
	switch {
	case h.Length == Chunked:
		c.stage = atChunk
	case h.Length > 0:
		c.stage, c.left = inBody, h.Length
	default:
		c.stage = atEnd
	}
}

// handUp is called before bytes are handed up: net/http's own deadlines hold from here.
func (c *Conn) handUp() {
	if !c.answered.IsZero() && c.isNew { // the deadline that it set for the first head is long gone
		c.Conn.SetReadDeadline(time.Now().Add(c.guard.Header))
	}
	if !c.sendUntil.IsZero() {
		c.Conn.SetWriteDeadline(time.Time{})
	}
	c.answered, c.readUntil, c.sendUntil = time.Time{}, time.Time{}, time.Time{}
}

// breakOff ends the connection without an answer.
func (c *Conn) breakOff(reason error) {
	if c.broken == nil {
		c.broken = readError(reason)
		c.tell(reason)
	}
}

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
