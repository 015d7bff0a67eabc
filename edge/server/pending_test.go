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
// resuming returns a function that connects with a server and says whether a session was resumed.
func resuming(t *testing.T) func(server, client *tls.Config) bool {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return func(config, client *tls.Config) bool {
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
}

// ticketing is a server that makes tickets.
func ticketing(t *testing.T) *tls.Config {
	t.Helper()
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

func ticketed() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "a", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
}

func TestTicketsAreTurned(t *testing.T) {
	config, client, resumed := ticketing(t), ticketed(), resuming(t)
	keys := tickets{config: config}
	resumes := func(client *tls.Config) bool { return resumed(config, client) }
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

// Edges of one secret resume each other's sessions, for as long as one edge its own, and without
// a word between them. A clock may be ahead or behind.
func TestTicketsOfSeveralEdges(t *testing.T) {
	resumed := resuming(t)
	now := time.Date(2026, 11, 28, 11, 59, 0, 0, time.UTC)
	for _, tt := range []struct {
		name          string
		secret, other string
		later         time.Duration
		want          bool
	}{
		{"at once", "s", "s", 0, true},
		{"in the next half day", "s", "s", 2 * time.Minute, true},
		{"after a half day", "s", "s", ticketLife, true},
		{"after two", "s", "s", 2*ticketLife + 2*time.Minute, false},
		{"by a clock that is behind", "s", "s", -ticketLife, true},
		{"another secret", "s", "t", 0, false},
		{"none", "", "", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b, client := ticketing(t), ticketing(t), ticketed()
			(&tickets{config: a, secret: tt.secret}).turn(now)
			if resumed(a, client) {
				t.Fatal("a first session is resumed")
			}
			other := &tickets{config: b, secret: tt.other}
			other.turn(now)
			other.turn(now.Add(tt.later))
			if got := resumed(b, client); got != tt.want {
				t.Errorf("resumed: %t", got)
			}
		})
	}
}

// The public listeners of edges of one secret take each other's tickets. A listener of known clients
// takes none but its own: a stranger would be let in by a public one's.
func TestTicketsOfPublicListenersAlone(t *testing.T) {
	type listeners struct{ public, known string }
	start := func() (l listeners) {
		s := New(edgetest.QuietLog())
		s.Tickets = "a secret of several edges"
		for key, url := range map[string]*string{"tls.listen": &l.public, "fleet.listen": &l.known} {
			of := openLoopback(t, s, key, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") })
			of.TLS, of.Known = ticketing(t), url == &l.known
			*url = "https://" + of.Addr().String()
		}
		st := startServer(t, s)
		t.Cleanup(func() { st.stop(); edgetest.Receive(t, st.done, "the end of Run") })
		return l
	}
	a, b := start(), start()
	for _, tt := range []struct {
		name, first, second string
		want                bool
	}{
		{"from one public listener to another", a.public, b.public, true},
		{"from a public listener to a known one", a.public, a.known, false},
		{"from a known listener to itself", a.known, a.known, true},
		{"from one known listener to another", a.known, b.known, false},
	} {
		c := edgetest.NewClient(t, ticketed())
		c.Transport.(*http.Transport).DisableKeepAlives = true
		var resumed [2]bool
		for i, url := range []string{tt.first, tt.second} {
			resp, _, err := edgetest.GetText(t, c, url)
			if err != nil {
				t.Fatal(err)
			}
			resumed[i] = resp.TLS.DidResume
		}
		if resumed != [2]bool{false, tt.want} {
			t.Errorf("%s: resumed %t", tt.name, resumed)
		}
	}
}
