package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
)

// startedServer is a server that runs, and its events.
type startedServer struct {
	*Server
	stop    context.CancelFunc
	unready chan struct{} // closed when load balancers are told
	done    chan error    // the result of Run
}

func startServer(t *testing.T, s *Server) *startedServer {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	st := &startedServer{Server: s, stop: stop, unready: make(chan struct{}), done: make(chan error, 1)}
	go func() { st.done <- s.Run(ctx, func() { close(st.unready) }) }()
	return st
}

func openLoopback(t *testing.T, s *Server, key string, h http.HandlerFunc) *Listener {
	t.Helper()
	l, err := s.Open(t.Context(), key, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Handler = h
	return l
}

// waitRefused waits until addr takes no connections.
func waitRefused(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(edgetest.Patience); ; {
		conn, err := net.Dial("tcp", addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			conn.Close()
		}
		if time.Now().After(end) {
			t.Fatal("never refused a connection")
		}
	}
}

func TestDrainFinishesWhatIsInFlightAndRefusesNewRequests(t *testing.T) {
	s := New(edgetest.QuietLog())
	began, finish := make(chan context.Context, 1), make(chan struct{})
	public := openLoopback(t, s, "listen", func(w http.ResponseWriter, r *http.Request) {
		began <- r.Context()
		<-finish
		io.WriteString(w, "whole")
	})
	admin := openLoopback(t, s, "admin.listen", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "watched") })
	st := startServer(t, s)

	type answer struct {
		resp *http.Response
		body string
		err  error
	}
	answers := make(chan answer, 1)
	c := edgetest.NewClient(t, nil)
	go func() {
		resp, body, err := edgetest.GetText(t, c, "http://"+public.Addr().String())
		answers <- answer{resp, body, err}
	}()
	inFlight := edgetest.Receive(t, began, "a request")
	st.stop()
	edgetest.Receive(t, st.unready, "the call of unready")
	waitRefused(t, public.Addr().String())
	if err := inFlight.Err(); err != nil {
		t.Errorf("the drain cancels a request in flight: %v", err)
	}
	if _, body, err := edgetest.GetText(t, edgetest.NewClient(t, nil), "http://"+admin.Addr().String()); err != nil || body != "watched" {
		t.Errorf("the admin listener answers %q, %v while the public one drains", body, err)
	}
	select {
	case err := <-st.done:
		t.Fatalf("run returned %v with a request in flight", err)
	default:
	}
	close(finish)
	got := edgetest.Receive(t, answers, "an answer")
	if got.err != nil || got.body != "whole" {
		t.Errorf("the request in flight got %+v; want it whole", got)
	}
	c.CloseIdleConnections() // else the drain waits for a while
	if err := edgetest.Receive(t, st.done, "the end of Run"); err != nil {
		t.Errorf("run returned %v after a clean drain", err)
	}
	waitRefused(t, admin.Addr().String())
}

func TestUnreadyBeforeTheListenersClose(t *testing.T) {
	s := New(edgetest.QuietLog())
	l := openLoopback(t, s, "listen", func(http.ResponseWriter, *http.Request) {})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	called := false
	err := s.Run(ctx, func() {
		called = true
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Errorf("the listener is closed before load balancers are told: %v", err)
			return
		}
		conn.Close()
	})
	if err != nil || !called {
		t.Errorf("run returned %v, unready called: %t", err, called)
	}
}

func TestDrainCutsWhatDoesNotFinish(t *testing.T) {
	s := New(edgetest.QuietLog())
	s.DrainLimit = 0
	began := make(chan struct{})
	l := openLoopback(t, s, "listen", func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	})
	st := startServer(t, s)
	failed := make(chan error, 1)
	c := edgetest.NewClient(t, nil)
	go func() {
		_, _, err := edgetest.GetText(t, c, "http://"+l.Addr().String())
		failed <- err
	}()
	edgetest.Receive(t, began, "a request")
	st.stop()
	if err := edgetest.Receive(t, st.done, "the end of Run"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("run returned %v; want that requests were cut", err)
	}
	if err := edgetest.Receive(t, failed, "the end of the request"); err == nil {
		t.Error("a request that was cut ended well")
	}
}

// An answer without an end would hold the drain up until its limit.
func TestDrainEndsAnswersWithoutAnEnd(t *testing.T) {
	s := New(edgetest.QuietLog())
	began, ending := make(chan struct{}), make(chan struct{})
	l := openLoopback(t, s, "admin.listen", func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-ending
		io.WriteString(w, "the end")
	})
	l.Ending = func() { close(ending) }
	st := startServer(t, s)
	answers := make(chan string, 1)
	c := edgetest.NewClient(t, nil)
	go func() {
		_, body, _ := edgetest.GetText(t, c, "http://"+l.Addr().String())
		answers <- body
	}()
	edgetest.Receive(t, began, "a request")
	st.stop()
	if body := edgetest.Receive(t, answers, "an answer"); body != "the end" {
		t.Errorf("the answer is %q; want it whole", body)
	}
	if err := edgetest.Receive(t, st.done, "the end of Run"); err != nil {
		t.Errorf("run returned %v after a clean drain", err)
	}
}

func TestAddressInUseNamesTheKey(t *testing.T) {
	s := New(edgetest.QuietLog())
	defer s.Close()
	l := openLoopback(t, s, "listen", nil)
	addr := l.Addr().String()
	_, err := s.Open(t.Context(), "admin.listen", addr)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), "admin.listen: "+addr+" is in use") {
		t.Errorf("got %v", err)
	}
	if _, err := s.Open(t.Context(), "listen", "192.0.2.1:1"); !errors.Is(err, syscall.EADDRNOTAVAIL) || !strings.HasPrefix(err.Error(), "listen: 192.0.2.1:1 is not an address of this machine") {
		t.Errorf("an address of another machine: %v", err)
	}
}

func TestListenerThatFailsEndsTheOthers(t *testing.T) {
	s := New(edgetest.QuietLog())
	openLoopback(t, s, "listen", nil)
	broken := openLoopback(t, s, "tls.listen", nil)
	broken.Listener.Close()
	if err := edgetest.Receive(t, startServer(t, s).done, "the end of Run"); err == nil || !strings.HasPrefix(err.Error(), "tls.listen: cannot serve: ") {
		t.Errorf("run returned %v", err)
	}
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	echo := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }
	s := New(edgetest.QuietLog())
	plain := openLoopback(t, s, "listen", echo)
	secure := openLoopback(t, s, "tls.listen", echo)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	st := startServer(t, s)

	trust := &tls.Config{InsecureSkipVerify: true}
	for _, tt := range []struct {
		rule, url, want string
		config          func() *tls.Config
	}{
		{"plain is HTTP/1.1", "http://" + plain.Addr().String(), "HTTP/1.1", func() *tls.Config { return nil }},
		{"TLS is HTTP/2", "https://" + secure.Addr().String(), "HTTP/2.0", trust.Clone},
	} {
		if _, body, err := edgetest.GetText(t, edgetest.NewClient(t, tt.config()), tt.url); err != nil || body != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.rule, body, err, tt.want)
		}
	}
	var only1 http.Protocols
	only1.SetHTTP1(true)
	c := edgetest.NewClient(t, trust.Clone())
	c.Transport.(*http.Transport).Protocols = &only1
	if _, body, err := edgetest.GetText(t, c, "https://"+secure.Addr().String()); err != nil || body != "HTTP/1.1" {
		t.Errorf("TLS without ALPN for HTTP/2: got %q, %v; want HTTP/1.1", body, err)
	}
	var onlyH2C http.Protocols
	onlyH2C.SetUnencryptedHTTP2(true)
	c = edgetest.NewClient(t, nil)
	c.Transport.(*http.Transport).Protocols = &onlyH2C
	if _, body, err := edgetest.GetText(t, c, "http://"+plain.Addr().String()); err == nil {
		t.Errorf("HTTP/2 without TLS is answered: %q", body)
	}
	st.stop()
	if err := edgetest.Receive(t, st.done, "the end of Run"); err != nil {
		t.Errorf("run returned %v", err)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	s := New(edgetest.QuietLog())
	l := openLoopback(t, s, "listen", func(http.ResponseWriter, *http.Request) {})
	st := startServer(t, s)
	c := edgetest.NewClient(t, nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("x", 2*maxHeaderBytes))
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("headers of %d bytes got %s", 2*maxHeaderBytes, resp.Status)
	}
	st.stop()
	if err := edgetest.Receive(t, st.done, "the end of Run"); err != nil {
		t.Errorf("run returned %v", err)
	}
}

// A client that speaks HTTP to the TLS listener is told so, and a connection that never
// shakes hands does not hold up the drain.
func TestHandshakes(t *testing.T) {
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
	if _, body, err := edgetest.GetText(t, edgetest.NewClient(t, nil), "http://"+l.Addr().String()); err != nil || !strings.HasPrefix(body, "Client sent an HTTP request") {
		t.Errorf("got %q, %v", body, err)
	}
	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	other, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err) // connections are accepted in order: the silent one is now waited for
	}
	other.Close()
	st.stop()
	if err := edgetest.Receive(t, st.done, "the end of Run"); err != nil {
		t.Errorf("run returned %v", err)
	}
	silent.SetReadDeadline(time.Now().Add(edgetest.Patience))
	if _, err := silent.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection that did not shake hands: %v", err)
	}
}

// Requests in doubt are refused on every listener, also inside TLS.
func TestFramingIsGuarded(t *testing.T) {
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s := New(edgetest.QuietLog())
	refused := make(chan struct{}, 3)
	s.Refused = func() { refused <- struct{}{} }
	handler := func(http.ResponseWriter, *http.Request) { t.Error("a handler is called") }
	plain, admin, secure := openLoopback(t, s, "listen", handler), openLoopback(t, s, "admin.listen", handler), openLoopback(t, s, "tls.listen", handler)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	st := startServer(t, s)
	dial := func(l *Listener) (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }
	for name, open := range map[string]func() (net.Conn, error){
		"plain": func() (net.Conn, error) { return dial(plain) },
		"admin": func() (net.Conn, error) { return dial(admin) },
		"TLS": func() (net.Conn, error) {
			return tls.Dial("tcp", secure.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := open()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(edgetest.Patience))
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
			if text, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 400 Bad Request\r\n") {
				t.Errorf("got %q, %v", text, err)
			}
			edgetest.Receive(t, refused, "word of it")
		})
	}
	st.stop()
	if err := edgetest.Receive(t, st.done, "the end of Run"); err != nil {
		t.Errorf("run returned %v", err)
	}
}
