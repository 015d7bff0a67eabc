package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"slices"
	"time"

	"pkgedge/edge/framing"
)

// handshakes makes connections of TLS ready. net/http would shake hands itself, but only
// with a *tls.Conn, and then it reads that itself: there is no place for a guard. A connection
// that speaks HTTP/2 goes to a server of its own.
type handshakes struct {
	config  *tls.Config
	tickets tickets
	turns   *turns
	calm    *calm
	guard   *framing.Guard
	http2   *queue
	log     *log.Logger
}

// newHandshakes shakes hands with the connections of l.
func newHandshakes(l net.Listener, h *handshakes) *preparing {
	config := h.config
	if get := config.GetCertificate; get != nil { // it may have to be obtained first
		config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			defer framing.PauseWork(hello.Conn)()
			return get(hello)
		}
	}
	h.tickets.config, h.turns = config, newTurns()
	return newPreparing(l, maxClientHandshakes, h.shake, h.refuse)
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

// shake shakes hands on a connection.
func (h *handshakes) shake(raw net.Conn) (net.Conn, error) {
	now, client := time.Now(), clientOf(raw.RemoteAddr())
	if h.calm.refuses(client, now) {
		return nil, errFlooder
	}
	h.tickets.turn(now)
	below := framing.BelowTLS(raw, &calculation{turns: h.turns, client: client})
	c := tls.Server(below, h.config)
	err := c.HandshakeContext(context.Background())
	framing.EndWork(below)
	if err != nil {
		return nil, err
	}
	if p := c.ConnectionState().NegotiatedProtocol; p == "" || p == "http/1.1" {
		return h.guard.Wrap(c), nil
	}
	raw.SetDeadline(time.Time{})
	return nil, h.http2.put(h.guard.WrapFrames(c))
}

// refuse tells of a connection whose handshake has failed, as net/http does.
func (h *handshakes) refuse(raw net.Conn, err error) {
	var other tls.RecordHeaderError
	if errors.As(err, &other) && other.Conn != nil && looksLikeHTTP(other.RecordHeader) {
		_, _ = io.WriteString(other.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		err = errors.New("client sent an HTTP request to an HTTPS server")
	}
	h.log.Printf("http: TLS handshake error from %s: %v", raw.RemoteAddr(), err)
}

// looksLikeHTTP reports whether the first bytes of a connection are a request's.
func looksLikeHTTP(b [5]byte) bool {
	switch string(b[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}
