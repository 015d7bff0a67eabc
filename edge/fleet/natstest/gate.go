package natstest

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Gate is a way to a server that can be shut: its connections stay open then, and nothing goes
// through, as where the network drops all packets.
type Gate struct {
	url      string
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu    sync.Mutex
	open  chan struct{} // closed while the gate is open
	ended bool
	conns map[net.Conn]bool
}

// NewGate is an open gate to a URL of a server, until the end of the test.
func NewGate(t testing.TB, url string) *Gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{url: "nats://" + l.Addr().String(), listener: l, to: strings.TrimPrefix(url, "nats://"), open: make(chan struct{}), conns: make(map[net.Conn]bool)}
	close(g.open)
	g.running.Go(g.accept)
	t.Cleanup(g.end)
	return g
}

// URL is that of the server, through the gate.
func (g *Gate) URL() string { return g.url }

// Shut lets nothing through until Open.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

// Open lets everything through again, that of the meantime, too.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.open)
}

func (g *Gate) accept() {
	for {
		from, err := g.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", g.to)
		if err != nil { // the server is off
			from.Close()
			continue
		}
		if !g.keep(from) || !g.keep(to) {
			return
		}
		g.running.Go(func() { g.pass(to, from) })
		g.running.Go(func() { g.pass(from, to) })
	}
}

// keep notes a connection for end, or closes it after that.
func (g *Gate) keep(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		c.Close()
		return false
	}
	g.conns[c] = true
	return true
}

// pass copies one direction while the gate is open.
func (g *Gate) pass(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		g.mu.Lock()
		open := g.open
		g.mu.Unlock()
		<-open
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	to.Close()
	_, _ = io.Copy(io.Discard, from) // until the other direction ends, too
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, from)
	from.Close()
}

// end closes all, and waits for its end.
func (g *Gate) end() {
	g.listener.Close()
	g.mu.Lock()
	g.ended = true
	select {
	case <-g.open:
	default:
		close(g.open)
	}
	for c := range g.conns {
		c.Close()
	}
	g.mu.Unlock()
	g.running.Wait()
}
