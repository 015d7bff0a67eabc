package edgetest

import (
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"
)

// Pipe is a listener of connections in memory, on which raw conversations are held. A
// write of the client is one Read of the server or more, and never a part of one: so a
// test splits a request exactly where it wants.
type Pipe struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

// NewPipe returns a listener.
func NewPipe() *Pipe {
	p := &Pipe{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *Pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *Pipe) Close() error {
	p.close()
	return nil
}

func (p *Pipe) Addr() net.Addr { return pipeAddr{} }

// pipeAddr has a port, as the address of a listener has.
type pipeAddr struct{}

func (pipeAddr) Network() string { return "tcp" }
func (pipeAddr) String() string  { return "127.0.0.1:9" }

// Converse sends each part once the server waits for it and settled has returned. It
// returns all that the server sent until it closed the connection, or waited for more
// than was sent.
func (p *Pipe) Converse(t testing.TB, settled func(), parts ...string) string {
	t.Helper()
	client, inner := net.Pipe()
	defer client.Close()
	server := &watched{Conn: inner}
	server.changed.L = &server.mu
	select {
	case p.conns <- server:
	case <-p.closed:
		t.Fatal("the server is closed")
	}
	client.SetDeadline(time.Now().Add(Patience))
	var got []byte
	var err error
	read := make(chan struct{})
	go func() {
		defer close(read)
		got, err = io.ReadAll(client)
	}()
	sent := 0
	for _, part := range parts {
		n, werr := io.WriteString(client, part)
		if sent += n; werr != nil {
			break // the server has closed it
		}
		server.awaitQuiet(sent)
		settled()
	}
	client.Close()
	<-read
	server.awaitClosed()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q: the server does not come to an end, after %q", parts, got)
	}
	return string(got)
}

// watched is the server's end. It tells when the server waits for bytes that were not
// sent.
type watched struct {
	net.Conn
	mu      sync.Mutex
	changed sync.Cond
	read    int // bytes
	waiting int // size of the Read that waits, 0 for none
	closed  bool
}

func (w *watched) Read(p []byte) (int, error) {
	w.set(func() { w.waiting = len(p) })
	n, err := w.Conn.Read(p)
	w.set(func() { w.waiting, w.read = 0, w.read+n })
	return n, err
}

func (w *watched) Close() error {
	err := w.Conn.Close()
	w.set(func() { w.closed = true })
	return err
}

func (w *watched) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	w.changed.Broadcast()
}

// awaitQuiet waits until all that was sent has been read and the server waits for more.
// A Read of one byte is not that: net/http has one under way while a handler runs. It is if
// it lasts, for then a buffer is full but for one byte.
func (w *watched) awaitQuiet(sent int) {
	late := false
	timer := time.AfterFunc(Patience/10, func() { w.set(func() { late = true }) })
	defer timer.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed && !late && (w.read < sent || w.waiting <= 1) {
		w.changed.Wait()
	}
}

// awaitClosed waits until the server has closed its end, and handlers have returned.
func (w *watched) awaitClosed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed {
		w.changed.Wait()
	}
}

// moving are the figures of an answer that differ with the moment, random boundaries, and
// interim responses, of which the origin may send one more.
var moving = regexp.MustCompile(`(?m)^(Age: |Date: ).*$|((?:ttl|max-age)=)\d+|(?:--|boundary=)[A-Z2-7]{26}|HTTP/1\.1 100 Continue\r\n\r\n`)

// Settled is an answer without them.
func Settled(answer string) string { return moving.ReplaceAllString(answer, "$1$2") }
