package server

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// Proxied says that each connection of a listener begins with a header of the PROXY
// protocol, version 1 or 2, which names its client.
type Proxied struct {
	// Trusts reports whether a peer may name a client. A connection of another peer is closed.
	Trusts func(peer netip.Addr) bool
	// Refused is told of each connection that is closed for its header, or its lack of one.
	Refused func()
}

// The forms of the header, as its specification has them.
const (
	shortestProxyHeader = len("PROXY UNKNOWN\r\n")
	longestProxyLine    = 107
	fixedProxyHeader    = 16      // of version 2, before the part that it gives the length of
	longestProxyHeader  = 4 << 10 // a client's certificate may be in it
)

var errProxyHeader = errors.New("no header of the PROXY protocol")

// clients makes connections ready whose proxies name their clients.
func (s *Server) clients(l net.Listener, p *Proxied) *preparing {
	prepare := func(raw net.Conn) (net.Conn, error) {
		if peer := peerOf(raw.RemoteAddr()); !p.Trusts(peer) {
			return nil, errors.New("it is not of a trusted proxy")
		}
		client, err := readProxyHeader(raw)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: raw, client: client}, nil
	}
	// A proxy has the connections of all of its clients.
	return newPreparing(l, maxPending, prepare, func(raw net.Conn, err error) {
		s.log.Debug("connection refused", "peer", raw.RemoteAddr(), "reason", err)
		p.Refused()
	})
}

// readProxyHeader reads a header, and no byte behind it. The address is nil where the
// connection is the proxy's own (LOCAL, UNKNOWN).
func readProxyHeader(from io.Reader) (client net.Addr, err error) {
	text := make([]byte, shortestProxyHeader, longestProxyLine)
	if _, err := io.ReadFull(from, text); err != nil {
		return nil, fmt.Errorf("%w: %w", errProxyHeader, err)
	}
	switch {
	case bytes.HasPrefix(text, proxyproto.SIGV2):
		text, err = moreOf(from, text, fixedProxyHeader)
		if err == nil {
			size := int(binary.BigEndian.Uint16(text[fixedProxyHeader-2:]))
			text, err = moreOf(from, text, fixedProxyHeader+size)
		}
	case bytes.HasPrefix(text, proxyproto.SIGV1):
		for err == nil && !bytes.HasSuffix(text, []byte("\n")) && len(text) < longestProxyLine {
			text, err = moreOf(from, text, len(text)+1)
		}
	default:
		return nil, errProxyHeader
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errProxyHeader, err)
	}
	rest := bufio.NewReaderSize(bytes.NewReader(text), len(text))
	h, err := proxyproto.Read(rest)
	if err != nil {
		return nil, err
	}
	if rest.Buffered() > 0 {
		return nil, errProxyHeader // two lines in one header
	}
	if h.Command.IsLocal() || h.TransportProtocol.IsUnspec() {
		return nil, nil
	}
	if source, _, ok := h.TCPAddrs(); ok {
		return source, nil
	}
	return nil, errors.New("the PROXY protocol names no client of TCP")
}

// moreOf reads on until the header has that size.
func moreOf(from io.Reader, text []byte, size int) ([]byte, error) {
	if size > longestProxyHeader {
		return text, errors.New("it is too long")
	}
	have := len(text)
	text = append(text, make([]byte, size-have)...)
	_, err := io.ReadFull(from, text[have:])
	return text, err
}
