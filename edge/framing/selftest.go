package framing

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// SelfTest has net/http serve a connection in memory, and reports whether it reads and
// changes states as the rule for the lane has it. Another release may do otherwise.
func SelfTest() error {
	client, server := net.Pipe()
	client.SetDeadline(time.Now().Add(selfTestLimit))
	defer client.Close()
	c := &traced{Conn: new(Guard).Wrap(server)}
	ended := make(chan http.ConnState, 3) // of each request
	srv := &http.Server{
		ConnState: func(_ net.Conn, s http.ConnState) {
			c.note(s.String())
			StateChanged(c.Conn, s)
			if s == http.StateIdle || s == http.StateClosed {
				ended <- s
			}
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
			c.note("handler")
		}),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(newOneConn(c)) }()
	defer func() {
		srv.Close()
		<-served
	}()
	answers := bufio.NewReader(client)
	for _, request := range []string{
		"GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
		"GET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	} {
		if _, err := io.WriteString(client, request); err != nil {
			return fmt.Errorf("net/http does not read %q: %w", request, err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return fmt.Errorf("net/http does not answer %q: %w", request, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		// A request that comes before the end of the one before is begun by its background
		// read, or not.
		select {
		case <-ended:
		case <-time.After(selfTestLimit):
			return errors.New("net/http does not tell that it waits for a request")
		}
	}
	return c.judge()
}

const selfTestLimit = 5 * time.Second

// judge compares the events with those that the rule relies on: a whole buffer is read only
// for a new message, and each but the first of them behind http.StateIdle.
func (c *traced) judge() error {
	want := []string{
		"new", "read all", "active", "handler", "idle", "read all", "active", "handler", "idle", "read all", "active", "handler", "closed",
	}
	if !slices.Equal(c.events, want) {
		return fmt.Errorf("net/http goes through %s, and not through %s", strings.Join(c.events, ", "), strings.Join(want, ", "))
	}
	return nil
}

// traced is a connection that notes how net/http uses it.
type traced struct {
	net.Conn
	full   int
	events []string
}

func (c *traced) note(event string) { c.events = append(c.events, event) }

func (c *traced) Read(p []byte) (int, error) {
	switch c.full = max(c.full, len(p)); len(p) {
	case 1:
		// A background read is on a goroutine of its own, and only some handlers last for it.
	case c.full:
		c.note("read all")
	default:
		c.note(fmt.Sprint("read ", len(p)))
	}
	return c.Conn.Read(p)
}

// oneConn is a listener of one connection.
type oneConn struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
}

func newOneConn(c net.Conn) *oneConn {
	l := &oneConn{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- c
	l.close = sync.OnceFunc(func() { close(l.done) })
	return l
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error {
	l.close()
	return nil
}

func (*oneConn) Addr() net.Addr { return new(net.TCPAddr) }
