package server

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
)

// keptAlive is a connection on which a request was answered, and which is idle now.
func keptAlive(t *testing.T, c net.Conn) *bufio.Reader {
	t.Helper()
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(edgetest.Patience))
	r := bufio.NewReader(c)
	if resp := ask(t, c, r); resp.Close {
		t.Fatal("the connection ends before the drain")
	}
	return r
}

// ask sends a request and reads its answer.
func ask(t *testing.T, c net.Conn, r *bufio.Reader) *http.Response {
	t.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("the request is lost: %v", err)
	}
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "ok" {
		t.Fatalf("got %q, %v", text, err)
	}
	return resp
}

// A connection that was kept alive has one more request answered, and is told of its end. So
// has one that was accepted and has not shaken hands, or not asked.
func TestDrainIsPoliteToConnectionsKeptAlive(t *testing.T) {
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	ok := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }
	s := New(edgetest.QuietLog())
	plain, secure := openLoopback(t, s, "listen", ok), openLoopback(t, s, "tls.listen", ok)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	st := startServer(t, s)
	dial := func(l *Listener) net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	trust := &tls.Config{InsecureSkipVerify: true}
	idle, shy, silent := dial(plain), dial(plain), dial(secure)
	reader := keptAlive(t, idle)
	encrypted := tls.Client(dial(secure), trust)
	encryptedReader := keptAlive(t, encrypted) // so the silent one before it is accepted, too
	edgetest.Until(t, "all connections", func() bool { return s.draining.left() == 4 })

	st.stop()
	edgetest.Receive(t, st.unready, "the call of unready")
	waitRefused(t, plain.Addr().String())
	waitRefused(t, secure.Addr().String())
	late := tls.Client(silent, trust)
	for name, c := range map[string]struct {
		conn   net.Conn
		reader *bufio.Reader
	}{
		"kept alive": {idle, reader}, "kept alive in TLS": {encrypted, encryptedReader},
		"accepted": {shy, bufio.NewReader(shy)}, "without a handshake": {late, bufio.NewReader(late)},
	} {
		c.conn.SetDeadline(time.Now().Add(edgetest.Patience))
		if resp := ask(t, c.conn, c.reader); !resp.Close {
			t.Errorf("%s: the answer does not say that the connection ends", name)
		}
		if n, err := c.reader.Read(make([]byte, 1)); n > 0 || err != io.EOF {
			t.Errorf("%s: %d bytes and %v behind the last answer", name, n, err)
		}
	}
	if err := edgetest.Receive(t, st.done, "the end of Run"); err != nil {
		t.Errorf("run returned %v", err)
	}
}

// A connection of HTTP/2 is told by GOAWAY, so that no request on it is lost.
func TestDrainSaysGoAway(t *testing.T) {
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s := New(edgetest.QuietLog())
	began, finish := make(chan struct{}, 1), make(chan struct{})
	l := openLoopback(t, s, "tls.listen", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			began <- struct{}{}
			<-finish
		}
		io.WriteString(w, r.Proto)
	})
	l.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	st := startServer(t, s)
	c := edgetest.NewClient(t, &tls.Config{InsecureSkipVerify: true})
	url := "https://" + l.Addr().String()
	slow := make(chan string, 1)
	go func() {
		_, body, _ := edgetest.GetText(t, c, url+"/slow")
		slow <- body
	}()
	edgetest.Receive(t, began, "the slow request")
	st.stop()
	edgetest.Receive(t, st.unready, "the call of unready")
	waitRefused(t, l.Addr().String())

	// The connection is there still. The answer on it is the last one.
	reused := make(chan bool, 1)
	trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused <- i.Reused }})
	req, err := http.NewRequestWithContext(trace, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := c.Do(req); err == nil {
		resp.Body.Close()
		if !<-reused {
			t.Error("a new connection was made after the listener had stopped")
		}
	} // or GOAWAY has come, and no other connection can be made
	close(finish)
	if got := edgetest.Receive(t, slow, "the slow answer"); got != "HTTP/2.0" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := edgetest.Receive(t, st.done, "the end of Run"); err != nil {
		t.Errorf("run returned %v", err)
	}
}

// During the delay load balancers hear that the edge is not ready, and connections are taken.
func TestDrainDelay(t *testing.T) {
	s := New(edgetest.QuietLog())
	s.DrainDelay = time.Minute
	l := openLoopback(t, s, "listen", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	st := startServer(t, s)
	st.stop()
	edgetest.Receive(t, st.unready, "the call of unready")
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	edgetest.Until(t, "the beginning of the drain", s.draining.begun.Load)
	if resp := ask(t, c, bufio.NewReader(c)); !resp.Close {
		t.Error("the answer does not say that the connection ends")
	}
	s.HandOver() // a successor has come: nobody waits for load balancers any more
	if err := edgetest.Receive(t, st.done, "the end of Run"); err != nil {
		t.Errorf("run returned %v", err)
	}
}

func TestInherit(t *testing.T) {
	open := func(addr string) net.Listener {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	named, sure, nameless, orphan := open("127.0.0.1:0"), open("127.0.0.1:0"), open(":0"), open("127.0.0.1:0")
	_, port, _ := net.SplitHostPort(nameless.Addr().String())
	s := New(edgetest.QuietLog())
	s.Inherit([]Socket{
		{Listener: orphan, Key: "tls.listen"}, {Listener: named, Key: "listen"}, {Listener: nameless}, {Listener: sure, Key: "admin.listen", Sure: true},
	})
	for _, tt := range []struct {
		key, addr string
		want      net.Listener
	}{
		{"listen", named.Addr().String(), named},
		{"admin.listen", "127.0.0.1:1", sure},
		{"tls.listen", ":" + port, nameless},
	} {
		if l, err := s.Open(t.Context(), tt.key, tt.addr); err != nil || l.Listener != tt.want {
			t.Errorf("%s at %s: %v, %v", tt.key, tt.addr, l, err)
		}
	}
	if got := s.Orphans(); len(got) != 1 || got[0] != orphan.Addr().String() {
		t.Errorf("orphans: %v", got)
	}
	if _, err := orphan.Accept(); err == nil {
		t.Error("a socket that nobody wants accepts")
	}
	if got := s.Sockets(); len(got) != 3 || got[1].Key != "admin.listen" || got[1].Listener != sure {
		t.Errorf("sockets: %v", got)
	}
	if l, err := s.Open(t.Context(), "listen", "127.0.0.1:0"); err != nil || l.Addr().String() == named.Addr().String() {
		t.Errorf("a socket is inherited twice: %v, %v", l, err)
	}
	s.Close()
}
