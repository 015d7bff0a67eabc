package framing

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Frames stands between a connection of HTTP/2 and net/http. It counts the frames that cost
// work and carry nothing: SETTINGS, PING, PRIORITY, RST_STREAM in both directions, empty
// DATA, CONTINUATION, WINDOW_UPDATE of no use, unknown ones. A client that sends more than it has credit for
// gets GOAWAY with ENHANCE_YOUR_CALM, and the end of the connection. So does one that
// begins a frame, or the fields of a request, and does not end it in time.
//
// One goroutine reads and one writes, as net/http does. It has no ConnectionState, by which
// net/http would take it for a connection of HTTP/1.
type Frames struct {
	net.Conn
	guard    *Guard
	activity *Activity

	in, out frameReader
	open    bool // fields of a request have begun, and not ended
	until   time.Time
	earned  time.Time // the moment up to which credit is counted
	credit  float64

	// Of the side that writes.
	resets  atomic.Int64 // RST_STREAMs that were sent, and are not paid for
	windows atomic.Int64 // bytes that were sent, and no WINDOW_UPDATE has used
}

const (
	frameCredit = 1000 // costly frames at once, and
	frameRate   = 33   // in a second from then on: those of nghttp2
	// windowBytes is how many bytes sent let a client send one WINDOW_UPDATE more.
	windowBytes = 1 << 10
	// Frames beyond freeFrames of the credit are read at leisure: the requests that they reset have to be
	// finished, too, and net/http queues them.
	freeFrames = 250
	leisure    = time.Millisecond
)

// ErrCalm is a flood of frames.
const ErrCalm Error = "too many frames of HTTP/2 that carry nothing"

// WrapFrames returns the connection that net/http is given in the place of c, which has
// agreed to speak HTTP/2.
func (g *Guard) WrapFrames(c *tls.Conn) *Frames {
	now := time.Now()
	f := &Frames{
		Conn: c, guard: g, activity: ActivityOf(c), earned: now, credit: frameCredit, until: now.Add(g.Header),
	}
	f.in.preface = len(preface)
	if f.activity == nil {
		f.activity = new(Activity)
	}
	c.SetReadDeadline(f.until)
	return f
}

// preface is sent by a client before its first frame.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Activity tells whether a request is under way.
func (f *Frames) Activity() *Activity { return f.activity }

// setState follows the connection, of which nothing else is seen.
func (f *Frames) setState(s http.ConnState) {
	switch s {
	case http.StateNew, http.StateIdle:
		f.activity.Idle(time.Now())
	case http.StateActive:
		f.activity.Work()
	}
}

// SetReadDeadline does nothing: reads have the deadlines of frames.
func (f *Frames) SetReadDeadline(time.Time) error { return nil }

// SetDeadline sets that of writes.
func (f *Frames) SetDeadline(t time.Time) error { return f.Conn.SetWriteDeadline(t) }

func (f *Frames) Read(p []byte) (int, error) {
	f.await()
	n, err := f.Conn.Read(p)
	cost, windows := 0, 0
	f.in.follow(p[:n], func(h frameHeader) {
		switch {
		case h.kind == frameHeaders:
			f.open = h.flags&endHeaders == 0
		case h.kind == frameContinuation:
			f.open = f.open && h.flags&endHeaders == 0
			cost++
		case h.kind == frameWindowUpdate:
			windows++
		case h.kind != frameData || h.size == 0 && h.flags&endStream == 0:
			cost++
		}
	})
	if (cost > 0 || windows > 0) && !f.pay(cost, windows) {
		f.goAway()
		return 0, ErrCalm
	}
	if over := frameCredit - freeFrames - f.credit; over > 0 {
		time.Sleep(leisure * time.Duration(min(cost, int(over)+1)))
	}
	if err != nil && n > 0 {
		err = nil // the next Read has it as well
	}
	return n, err
}

// await sets the deadline of a Read: of a frame's rest, or none between two.
func (f *Frames) await() {
	switch {
	case !f.in.partial() && !f.open:
		if !f.until.IsZero() {
			f.until = time.Time{}
			f.Conn.SetReadDeadline(f.until)
		}
	case f.in.current.kind == frameData && f.in.left > 0:
		if now := time.Now(); f.until.Sub(now) < f.guard.Stalled-rearm { // any progress will do
			f.until = now.Add(f.guard.Stalled)
			f.Conn.SetReadDeadline(f.until)
		}
	case f.until.IsZero():
		f.until = time.Now().Add(f.guard.Header)
		f.Conn.SetReadDeadline(f.until)
	}
}

// pay takes the cost of frames off the credit.
func (f *Frames) pay(cost, windows int) bool {
	now := time.Now()
	f.credit = min(frameCredit, f.credit+now.Sub(f.earned).Seconds()*frameRate)
	f.earned = now
	cost += int(f.resets.Swap(0))
	if used := int64(windows) * windowBytes; f.windows.Add(-used) < 0 {
		cost += int(-f.windows.Swap(0) / windowBytes)
	}
	f.credit -= float64(cost)
	return f.credit >= 0
}

func (f *Frames) Write(p []byte) (int, error) {
	n, err := f.Conn.Write(p)
	f.windows.Add(int64(n))
	f.out.follow(p[:n], func(h frameHeader) {
		if h.kind == frameRSTStream {
			f.resets.Add(1)
		}
	})
	return n, err
}

// goAway ends the connection. net/http may be writing: then the client gets the end alone.
func (f *Frames) goAway() {
	if f.guard.Refused != nil {
		f.guard.Refused(f.Conn.RemoteAddr(), ErrCalm)
	}
	f.Conn.SetWriteDeadline(time.Now().Add(time.Second))
	frame := []byte{0, 0, 8, frameGoAway, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, enhanceYourCalm}
	_, _ = f.Conn.Write(frame)
	f.Conn.Close()
}

// Types and flags of frames (RFC 9113 section 6).
const (
	frameData         = 0
	frameHeaders      = 1
	frameRSTStream    = 3
	frameGoAway       = 7
	frameWindowUpdate = 8
	frameContinuation = 9

	endStream       = 1
	endHeaders      = 4
	enhanceYourCalm = 11
)

type frameHeader struct {
	size        int
	kind, flags byte
}

// frameReader finds the frames in a stream of bytes.
type frameReader struct {
	preface int // bytes of it to come
	head    [9]byte
	have    int // of head
	left    int // of the payload
	current frameHeader
}

func (r *frameReader) partial() bool { return r.preface > 0 || r.have > 0 || r.left > 0 }

// follow calls each with the headers of the frames that begin in b.
func (r *frameReader) follow(b []byte, each func(frameHeader)) {
	if n := min(r.preface, len(b)); n > 0 {
		r.preface -= n
		b = b[n:]
	}
	for len(b) > 0 {
		if r.left > 0 {
			n := min(r.left, len(b))
			r.left -= n
			b = b[n:]
			continue
		}
		n := copy(r.head[r.have:], b)
		r.have += n
		if b = b[n:]; r.have < len(r.head) {
			return
		}
		r.have = 0
		r.current = frameHeader{int(binary.BigEndian.Uint32(r.head[:4]) >> 8), r.head[3], r.head[4]}
		r.left = r.current.size
		each(r.current)
	}
}
