package server

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"

	"pkgedge/edge/framing"
)

// conn is a connection that knows its client. It has the methods that net/http and
// framing.Guard look for in a TCP connection.
type conn struct {
	net.Conn
	client net.Addr // that a proxy has named, nil for the peer

	activity framing.Activity

	// The place in a table of connections, which guards it; at is -1 for none.
	table     *Conns
	of        netip.Addr
	at, atOwn int
}

// Activity is for the guard, which follows the connection.
func (c *conn) Activity() *framing.Activity { return &c.activity }

// Close also ends its place in the table.
func (c *conn) Close() error {
	if c.table != nil {
		c.table.remove(c)
	}
	return c.Conn.Close()
}

func (c *conn) RemoteAddr() net.Addr {
	if c.client != nil {
		return c.client
	}
	return c.Conn.RemoteAddr()
}

// ReadFrom sends a file by sendfile.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := c.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}

// CloseWrite lets a guard linger.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SyscallConn lets a guard read and write the socket.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if socket, ok := c.Conn.(syscall.Conn); ok {
		return socket.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
