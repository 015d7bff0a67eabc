package framing

import (
	"crypto/tls"
	"net"
	"sync"
)

// records is the connection below TLS. crypto/tls writes each record by itself; while the
// lane sends an answer, records gathers them, and writes them together.
type records struct {
	net.Conn
	socket *socket // nil where there is none
	work   Work    // of the handshake, nil after it

	// mu is for the alert that a Close on another goroutine writes. Nothing is written under
	// it.
	mu   sync.Mutex
	held *gathered // nil where records go out as they come
	size int       // of the records in held
}

// gathered is the memory of an answer.
type gathered struct {
	body    [heldSize - recordSize/2]byte // of a file
	records [heldSize]byte
}

const (
	// heldSize is for the records of an answer of 64 KiB, and alertSize for an alert behind
	// them.
	heldSize  = 72 << 10
	alertSize = 512
	// maxGathering is the number of answers at a time whose records are gathered. Their
	// clients may be slow.
	maxGathering = 128
)

var helds = sync.Pool{New: func() any { return new(gathered) }}

// Work is the calculation of a handshake. GoOn is called when bytes have come for it, and may wait; Pause
// before it waits for its client.
type Work interface {
	GoOn()
	Pause()
}

// BelowTLS returns the connection that crypto/tls is given in the place of c, so that a Guard
// has the records of an answer. Its handshake is told to w, until EndWork.
func BelowTLS(c net.Conn, w Work) net.Conn { return &records{Conn: c, socket: newSocket(c), work: w} }

// EndWork ends the work of a handshake on a connection of BelowTLS.
func EndWork(below net.Conn) {
	if r, ok := below.(*records); ok && r.work != nil {
		r.work.Pause()
		r.work = nil
	}
}

// PauseWork has the work of a handshake pause for something else that it waits for, until goOn.
func PauseWork(below net.Conn) (goOn func()) {
	if r, ok := below.(*records); ok && r.work != nil {
		r.work.Pause()
		return r.work.GoOn
	}
	return func() {}
}

// recordsOf returns the connection below TLS, nil where it is not BelowTLS's.
func recordsOf(c *tls.Conn) *records {
	r, _ := c.NetConn().(*records)
	return r
}

func (r *records) Read(p []byte) (int, error) {
	if r.work != nil {
		r.work.Pause()
		n, err := r.Conn.Read(p)
		if n > 0 {
			r.work.GoOn()
		}
		return n, err
	}
	if r.socket != nil {
		return r.socket.Read(p)
	}
	return r.Conn.Read(p)
}

func (r *records) Write(p []byte) (int, error) {
	if r.work != nil {
		r.work.Pause() // and a handshake reads next
		return r.Conn.Write(p)
	}
	if r.hold(p) {
		return len(p), nil
	}
	held, size := r.take()
	if held == nil {
		return r.Conn.Write(p)
	}
	err := r.send(held.records[:size])
	r.give(held)
	if err != nil {
		return 0, err
	}
	if !r.hold(p) { // larger than any record
		return r.Conn.Write(p)
	}
	return len(p), nil
}

// answer sends an answer of the lane on c, which is the connection above.
func (r *records) answer(c *Conn, head []byte, body Body) (int64, error) {
	defer c.guard.gathering.Add(-1)
	if c.guard.gathering.Add(1) > maxGathering {
		return c.send(head, body)
	}
	held := helds.Get().(*gathered)
	r.give(held)
	n, err := c.sendPieces(held.body[:], head, body)
	_, size := r.take()
	if err == nil {
		err = r.send(held.records[:size])
	}
	helds.Put(held)
	return n, err
}

// send writes records that were gathered.
func (r *records) send(b []byte) error {
	var err error
	if r.socket != nil {
		_, err = r.socket.Send(b, Body{}, nil)
	} else {
		_, err = r.Conn.Write(b)
	}
	return err
}

// hold gathers a record, where records are gathered and there is room.
func (r *records) hold(p []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		return false
	}
	room := heldSize - r.size
	if len(p) > alertSize {
		room -= alertSize
	}
	if len(p) > room {
		return false
	}
	r.size += copy(r.held.records[r.size:], p)
	return true
}

// give has records be gathered from here on, and take returns them and ends it.
func (r *records) give(held *gathered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.size = held, 0
}

func (r *records) take() (held *gathered, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	held, size, r.held, r.size = r.held, r.size, nil, 0
	return held, size
}
