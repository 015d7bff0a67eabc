package framing

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
)

// tcpPair returns two ends of a TCP connection, the second with a guard.
func tcpPair(t *testing.T) (*net.TCPConn, *Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client.(*net.TCPConn), (&Guard{Stalled: edgetest.Patience}).Wrap(server).(*plainConn).Conn
}

// The socket of a plain connection reads and writes as the connection does, and has errors
// that net/http knows.
func TestSocket(t *testing.T) {
	client, c := tcpPair(t)
	p := make([]byte, 4096)
	go io.WriteString(client, get)
	if n, err := c.Read(p); string(p[:n]) != get || err != nil {
		t.Fatalf("read %q, %v", p[:n], err)
	}
	c.Conn.SetReadDeadline(time.Now())
	_, err := c.read(p)
	if op := (*net.OpError)(nil); !errors.As(err, &op) || op.Op != "read" || !op.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("behind its deadline: %#v", err)
	}
	c.Conn.SetReadDeadline(time.Time{})

	// More than fits into buffers: the write waits for the reader.
	head, body := bytes.Repeat([]byte("h"), 100_000), bytes.Repeat([]byte("b"), 20<<20)
	for _, parts := range [][2][]byte{{head, body}, {head, nil}} {
		got := make(chan []byte)
		go func() {
			all := make([]byte, len(parts[0])+len(parts[1]))
			_, _ = io.ReadFull(client, all)
			got <- all
		}()
		n, err := c.Send(time.Now(), parts[0], Body{Bytes: parts[1]})
		if all := edgetest.Receive(t, got, "the answer"); n != int64(len(all)) || err != nil || !bytes.Equal(all, bytes.Join(parts[:], nil)) {
			t.Errorf("%d, %v of %d", n, err, len(all))
		}
	}

	client.CloseWrite()
	if n, err := c.read(p); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	client.SetLinger(0)
	client.Close()
	edgetest.Until(t, "an error of a write", func() bool { _, err = c.Send(time.Now(), head, Body{}); return err != nil })
	if op := (*net.OpError)(nil); !errors.As(err, &op) || op.Op != "write" || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("behind a reset: %#v", err)
	}
	c.Close()
	_, err = c.read(p)
	if op := (*net.OpError)(nil); !errors.As(err, &op) || op.Op != "read" || !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %#v", err)
	}
}
