package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
)

type peer struct {
	net.Conn
	addr net.Addr
}

func (p *peer) RemoteAddr() net.Addr { return p.addr }

func TestHandshakesOfAClientAreBounded(t *testing.T) {
	p := newPending(maxClientHandshakes)
	from := func(addr string) *peer { return &peer{addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))} }
	var first *peer
	for i := range maxClientHandshakes {
		c := from("[2001:db8::1]:1")
		if i == 0 {
			first = c
		}
		if !p.add(c) {
			t.Fatalf("no room for connection %d", i)
		}
	}
	if p.add(from("[2001:db8::2]:1")) {
		t.Error("room for one more of the same 64 bits")
	}
	if !p.add(from("[2001:db8:0:1::1]:1")) || !p.add(from("192.0.2.1:1")) {
		t.Error("no room for another client")
	}
	p.remove(first)
	p.remove(first)
	if !p.add(from("[2001:db8::2]:1")) || p.add(from("[2001:db8::2]:1")) {
		t.Error("a handshake that has ended does not make room for one")
	}
	for i := byte(0); len(p.conns) < maxPending; i++ {
		for range maxClientHandshakes {
			p.add(&peer{addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, i), Port: 1}})
		}
	}
	if p.add(from("192.0.2.2:1")) {
		t.Error("room beyond the limit of all")
	}
	for c := range p.conns {
		p.remove(c)
	}
	if len(p.clients) != 0 {
		t.Errorf("%d clients are left", len(p.clients))
	}
}

// A client that opens connections and says nothing is refused further ones, and gets room
// again when it ends some.
func TestSilentClientIsRefused(t *testing.T) {
	t.Parallel()
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s := New(edgetest.QuietLog())
	l := openLoopback(t, s, "tls.listen", func(http.ResponseWriter, *http.Request) {})
	l.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	st := startServer(t, s)
	for range maxClientHandshakes {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(edgetest.Patience))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one connection too many: %v; want its end", err)
	}
	st.stop()
	if err := edgetest.Receive(t, st.done, "the end of Run"); err != nil {
		t.Errorf("run returned %v", err)
	}
}

// A session of one key is resumed after one turn of the keys, and not after two.
func TestTicketsAreTurned(t *testing.T) {
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	keys := tickets{config: config}
	client := &tls.Config{InsecureSkipVerify: true, ServerName: "a", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	resumes := func(client *tls.Config) bool {
		t.Helper()
		done := make(chan error, 1)
		go func() {
			b, err := l.Accept()
			if err != nil {
				done <- err
				return
			}
			s := tls.Server(b, config)
			_, err = io.WriteString(s, "x")
			done <- errors.Join(err, s.Close())
		}()
		a, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c := tls.Client(a, client)
		if _, err := io.ReadAll(c); err != nil { // the ticket comes with the first bytes
			t.Fatal(err)
		}
		c.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		return c.ConnectionState().DidResume
	}
	now := time.Now()
	keys.turn(now)
	if resumes(client) || !resumes(client) {
		t.Fatal("a session is not resumed")
	}
	keys.turn(now.Add(ticketLife - 1))
	if !resumes(client) {
		t.Error("turned too early")
	}
	keys.turn(now.Add(ticketLife))
	if !resumes(client) { // and gets a ticket of the new key
		t.Error("a session of the key before is not resumed")
	}
	keys.turn(now.Add(4 * ticketLife))
	if resumes(client) {
		t.Error("a session of an old key is resumed")
	}
}
