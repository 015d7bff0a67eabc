package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"slices"
	"sync"
	"time"

	"pkgedge/edge/framing"
)

// handshakes is a listener of TLS connections that have shaken hands. net/http would do it,
// but only with a *tls.Conn, and then it reads that itself: there is no place for a guard.
// A connection that speaks HTTP/2 goes to net/http as the *tls.Conn that it is.
type handshakes struct {
	net.Listener
	config  *tls.Config
	tickets tickets
	guard   *framing.Guard
	log     *log.Logger

	begin  sync.Once
	ready  chan net.Conn
	failed chan error // of Accept
	done   chan struct{}

	mu      sync.Mutex
	pending *pending // nil once the listener is closed
}

func newHandshakes(l net.Listener, config *tls.Config, g *framing.Guard, log *log.Logger) *handshakes {
	return &handshakes{
		Listener: l, config: config, tickets: tickets{config: config}, guard: g, log: log,
		ready: make(chan net.Conn), failed: make(chan error), done: make(chan struct{}), pending: newPending(),
	}
}

// withProtocols has clients told that HTTP/2 and HTTP/1.1 are spoken, besides the
// protocols of the certificates' manager.
func withProtocols(config *tls.Config) *tls.Config {
	if config == nil {
		return nil
	}
	config = config.Clone()
	config.DynamicRecordSizingDisabled = true // an answer is one write, and not many small ones
	other := slices.DeleteFunc(slices.Clone(config.NextProtos), func(p string) bool { return p == "h2" || p == "http/1.1" })
	config.NextProtos = append([]string{"h2", "http/1.1"}, other...)
	return config
}

func (h *handshakes) Accept() (net.Conn, error) {
	h.begin.Do(func() { go h.acceptAll() })
	select {
	case c := <-h.ready:
		return c, nil
	case err := <-h.failed:
		return nil, err
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// acceptAll accepts until the listener is closed. net/http decides how long it waits after
// an error, and calls Accept again.
func (h *handshakes) acceptAll() {
	for {
		c, err := h.Listener.Accept()
		if err != nil {
			select {
			case h.failed <- err:
				continue
			case <-h.done:
				return
			}
		}
		switch room, open := h.add(c); {
		case !open:
			c.Close()
			return
		case !room:
			c.Close()
			h.log.Printf("http: TLS handshake error from %s: too many handshakes are under way", c.RemoteAddr())
		default:
			go h.shake(c)
		}
	}
}

func (h *handshakes) add(c net.Conn) (room, open bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pending == nil {
		return false, false
	}
	return h.pending.add(c), true
}

func (h *handshakes) remove(c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pending != nil {
		h.pending.remove(c)
	}
}

// shake shakes hands on a connection, and hands it to Accept.
func (h *handshakes) shake(raw net.Conn) {
	h.tickets.turn(time.Now())
	c := tls.Server(framing.BelowTLS(raw), h.config)
	raw.SetDeadline(time.Now().Add(readHeaderTimeout))
	err := c.HandshakeContext(context.Background())
	h.remove(raw)
	if err != nil {
		h.refuse(raw, err)
		return
	}
	raw.SetDeadline(time.Time{})
	var to net.Conn = c
	if p := c.ConnectionState().NegotiatedProtocol; p == "" || p == "http/1.1" {
		to = h.guard.Wrap(c)
	}
	select {
	case h.ready <- to:
	case <-h.done:
		raw.Close()
	}
}

// refuse ends a connection whose handshake has failed, as net/http does.
func (h *handshakes) refuse(raw net.Conn, err error) {
	var other tls.RecordHeaderError
	if errors.As(err, &other) && other.Conn != nil && looksLikeHTTP(other.RecordHeader) {
		_, _ = io.WriteString(other.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		err = errors.New("client sent an HTTP request to an HTTPS server")
	}
	h.log.Printf("http: TLS handshake error from %s: %v", raw.RemoteAddr(), err)
	raw.Close()
}

// looksLikeHTTP reports whether the first bytes of a connection are a request's.
func looksLikeHTTP(b [5]byte) bool {
	switch string(b[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}

// Close closes the listener, and connections that have not shaken hands yet.
func (h *handshakes) Close() error {
	h.mu.Lock()
	pending := h.pending
	h.pending = nil
	h.mu.Unlock()
	if pending == nil {
		return net.ErrClosed
	}
	close(h.done)
	err := h.Listener.Close()
	for c := range pending.conns {
		c.Close()
	}
	return err
}
