package framing

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// Wrap returns the connection that net/http is given in the place of c, which is a TCP
// connection, or a *tls.Conn after its handshake that does not speak HTTP/2.
func (g *Guard) Wrap(c net.Conn) net.Conn {
	conn := &Conn{Conn: c, guard: g, isNew: true, socket: newSocket(c), activity: ActivityOf(c)}
	if conn.activity == nil {
		conn.activity = new(Activity)
	}
	conn.activity.Idle(time.Now())
	if peer, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		conn.peer = peer.AddrPort().Addr().Unmap()
	}
	if secure, ok := c.(*tls.Conn); ok {
		conn.version, conn.records = secure.ConnectionState().Version, recordsOf(secure)
		return &secureConn{conn, secure}
	}
	return &plainConn{conn}
}

// ActivityOf returns that of a connection which has one, plain or below TLS, nil for another.
func ActivityOf(c net.Conn) *Activity {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if below, ok := c.(*records); ok {
		c = below.Conn
	}
	if active, ok := c.(interface{ Activity() *Activity }); ok {
		return active.Activity()
	}
	return nil
}

// plainConn and secureConn have the methods that net/http looks for beside those of a
// net.Conn.
type (
	plainConn  struct{ *Conn }
	secureConn struct {
		*Conn
		tls *tls.Conn
	}
)

// ReadFrom sends a file by sendfile.
func (c *plainConn) ReadFrom(r io.Reader) (int64, error) {
	if part, from := filePart(r); from != nil && c.socket != nil {
		n, err := c.socket.Send(nil, part, nil)
		from.Seek(n, io.SeekCurrent) // a reader in memory
		return n, err
	}
	if to, ok := c.Conn.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c.Conn.Conn}, r)
}

// ConnectionState becomes http.Request.TLS.
func (c *secureConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// CloseWrite lets net/http linger before it closes a connection.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
