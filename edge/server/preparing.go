package server

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// preparing is a listener of connections that are made ready first, each on a goroutine of
// its own and in readHeaderTimeout: a TLS handshake, the header of a proxy.
type preparing struct {
	net.Listener
	prepare func(net.Conn) (net.Conn, error) // nil for one that goes elsewhere
	refused func(net.Conn, error)            // is told why a connection was not made ready; it is closed then

	begin  sync.Once
	ready  chan net.Conn
	failed chan error // of Accept
	done   chan struct{}

	mu      sync.Mutex
	pending *pending // nil once the listener is closed
}

// newPreparing returns a listener that prepares perClient connections of each client at a time.
func newPreparing(l net.Listener, perClient int, prepare func(net.Conn) (net.Conn, error), refused func(net.Conn, error)) *preparing {
	return &preparing{
		Listener: l, prepare: prepare, refused: refused,
		ready: make(chan net.Conn), failed: make(chan error), done: make(chan struct{}), pending: newPending(perClient),
	}
}

func (p *preparing) Accept() (net.Conn, error) {
	p.begin.Do(func() { go p.acceptAll() })
	select {
	case c := <-p.ready:
		return c, nil
	case err := <-p.failed:
		return nil, err
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// acceptAll accepts until the listener is closed. net/http decides how long it waits after
// an error, and calls Accept again.
func (p *preparing) acceptAll() {
	for {
		c, err := p.Listener.Accept()
		if err != nil {
			select {
			case p.failed <- err:
				continue
			case <-p.done:
				return
			}
		}
		switch room, open := p.add(c); {
		case !open:
			c.Close()
			return
		case !room:
			p.refused(c, errPending)
			c.Close()
		default:
			go p.make(c)
		}
	}
}

func (p *preparing) add(c net.Conn) (room, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == nil {
		return false, false
	}
	return p.pending.add(c), true
}

// count is the number of connections that are not ready yet.
func (p *preparing) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == nil {
		return 0
	}
	return len(p.pending.conns)
}

func (p *preparing) remove(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending != nil {
		p.pending.remove(c)
	}
}

// make makes a connection ready, and hands it to Accept.
func (p *preparing) make(raw net.Conn) {
	raw.SetDeadline(time.Now().Add(readHeaderTimeout))
	c, err := p.prepare(raw)
	defer p.remove(raw) // once it is somebody else's
	if err != nil {
		p.refused(raw, err)
		raw.Close()
		return
	}
	if c == nil {
		return
	}
	raw.SetDeadline(time.Time{})
	select {
	case p.ready <- c:
	case <-p.done:
		raw.Close()
	}
}

// Close closes the listener, and connections that are not ready yet.
func (p *preparing) Close() error {
	p.mu.Lock()
	pending := p.pending
	p.pending = nil
	p.mu.Unlock()
	if pending == nil {
		return net.ErrClosed
	}
	close(p.done)
	err := p.Listener.Close()
	for c := range pending.conns {
		c.Close()
	}
	return err
}

// peerOf is the zero Addr for an address that is none of the Internet's.
func peerOf(a net.Addr) netip.Addr {
	peer, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}

// queue is a listener of connections that come from another one.
type queue struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	close func()
}

func newQueue(addr net.Addr) *queue {
	q := &queue{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
	q.close = sync.OnceFunc(func() { close(q.done) })
	return q
}

// put hands a connection to Accept.
func (q *queue) put(c net.Conn) error {
	select {
	case q.conns <- c:
		return nil
	case <-q.done:
		return net.ErrClosed
	}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	q.close()
	return nil
}

func (q *queue) Addr() net.Addr { return q.addr }
