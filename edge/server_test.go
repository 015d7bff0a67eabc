package main

import (
	"pkgedge/edge/edgetest"

	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// startedServer is a server that runs, and what a test needs of it.
type startedServer struct {
	*server
	stop    context.CancelFunc
	unready chan struct{} // closed when load balancers are told
	done    chan error    // what run returned
}

func startServer(t *testing.T, s *server) *startedServer {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	st := &startedServer{server: s, stop: stop, unready: make(chan struct{}), done: make(chan error, 1)}
	go func() { st.done <- s.run(ctx, func() { close(st.unready) }) }()
	return st
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func openLoopback(t *testing.T, s *server, key string, h http.HandlerFunc) *listener {
	t.Helper()
	l, err := s.open(t.Context(), key, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.handler = h
	return l
}

// newClient is an HTTP client without connections of others; they are closed when
// the test ends.
func newClient(t *testing.T, config *tls.Config) *http.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func getText(t *testing.T, c *http.Client, url string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// waitRefused waits until addr takes no connections.
func waitRefused(t *testing.T, addr string) {
	t.Helper()
	for {
		conn, err := net.Dial("tcp", addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			conn.Close()
		}
		if t.Context().Err() != nil {
			t.Fatal("never refused a connection")
		}
	}
}

func noLeaks(t *testing.T) {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
}

func TestDrainFinishesWhatIsInFlightAndRefusesNewRequests(t *testing.T) {
	noLeaks(t)
	s := newServer(quietLog())
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
	c := newClient(t, nil)
	go func() {
		resp, body, err := getText(t, c, "http://"+public.Addr().String())
		answers <- answer{resp, body, err}
	}()
	inFlight := <-began
	st.stop()
	<-st.unready
	waitRefused(t, public.Addr().String())
	if err := inFlight.Err(); err != nil {
		t.Errorf("the drain cancels a request in flight: %v", err)
	}
	if _, body, err := getText(t, newClient(t, nil), "http://"+admin.Addr().String()); err != nil || body != "watched" {
		t.Errorf("the admin listener answers %q, %v while the public one drains", body, err)
	}
	select {
	case err := <-st.done:
		t.Fatalf("run returned %v with a request in flight", err)
	default:
	}
	close(finish)
	got := <-answers
	if got.err != nil || got.body != "whole" || !got.resp.Close {
		t.Errorf("the request in flight got %+v; want it whole, and the connection closed", got)
	}
	if err := <-st.done; err != nil {
		t.Errorf("run returned %v after a clean drain", err)
	}
	waitRefused(t, admin.Addr().String())
}

func TestUnreadyBeforeTheListenersClose(t *testing.T) {
	noLeaks(t)
	s := newServer(quietLog())
	l := openLoopback(t, s, "listen", func(http.ResponseWriter, *http.Request) {})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	called := false
	err := s.run(ctx, func() {
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
	noLeaks(t)
	s := newServer(quietLog())
	s.limit = 0
	began := make(chan struct{})
	l := openLoopback(t, s, "listen", func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	})
	st := startServer(t, s)
	failed := make(chan error, 1)
	c := newClient(t, nil)
	go func() {
		_, _, err := getText(t, c, "http://"+l.Addr().String())
		failed <- err
	}()
	<-began
	st.stop()
	if err := <-st.done; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("run returned %v; want that requests were cut", err)
	}
	if err := <-failed; err == nil {
		t.Error("a request that was cut ended well")
	}
}

func TestAddressInUseNamesTheKey(t *testing.T) {
	s := newServer(quietLog())
	defer s.close()
	l := openLoopback(t, s, "listen", nil)
	addr := l.Addr().String()
	_, err := s.open(t.Context(), "admin.listen", addr)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), "admin.listen: "+addr+" is in use") {
		t.Errorf("got %v", err)
	}
	if _, err := s.open(t.Context(), "listen", "192.0.2.1:1"); !errors.Is(err, syscall.EADDRNOTAVAIL) || !strings.HasPrefix(err.Error(), "listen: 192.0.2.1:1 is not an address of this machine") {
		t.Errorf("an address of another machine: %v", err)
	}
}

func TestListenerThatFailsEndsTheOthers(t *testing.T) {
	noLeaks(t)
	s := newServer(quietLog())
	openLoopback(t, s, "listen", nil)
	broken := openLoopback(t, s, "tls.listen", nil)
	broken.Listener.Close()
	if err := <-startServer(t, s).done; err == nil || !strings.HasPrefix(err.Error(), "tls.listen: cannot serve: ") {
		t.Errorf("run returned %v", err)
	}
}

func TestProtocols(t *testing.T) {
	noLeaks(t)
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	echo := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }
	s := newServer(quietLog())
	plain := openLoopback(t, s, "listen", echo)
	secure := openLoopback(t, s, "tls.listen", echo)
	secure.tls = &tls.Config{Certificates: []tls.Certificate{pair}}
	st := startServer(t, s)

	trust := &tls.Config{InsecureSkipVerify: true}
	for _, tt := range []struct {
		rule, url, want string
		config          func() *tls.Config
	}{
		{"plain is HTTP/1.1", "http://" + plain.Addr().String(), "HTTP/1.1", func() *tls.Config { return nil }},
		{"TLS is HTTP/2", "https://" + secure.Addr().String(), "HTTP/2.0", trust.Clone},
	} {
		if _, body, err := getText(t, newClient(t, tt.config()), tt.url); err != nil || body != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.rule, body, err, tt.want)
		}
	}
	var only1 http.Protocols
	only1.SetHTTP1(true)
	c := newClient(t, trust.Clone())
	c.Transport.(*http.Transport).Protocols = &only1
	if _, body, err := getText(t, c, "https://"+secure.Addr().String()); err != nil || body != "HTTP/1.1" {
		t.Errorf("TLS without ALPN for HTTP/2: got %q, %v; want HTTP/1.1", body, err)
	}
	var onlyH2C http.Protocols
	onlyH2C.SetUnencryptedHTTP2(true)
	c = newClient(t, nil)
	c.Transport.(*http.Transport).Protocols = &onlyH2C
	if _, body, err := getText(t, c, "http://"+plain.Addr().String()); err == nil {
		t.Errorf("HTTP/2 without TLS is answered: %q", body)
	}
	st.stop()
	if err := <-st.done; err != nil {
		t.Errorf("run returned %v", err)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	noLeaks(t)
	s := newServer(quietLog())
	l := openLoopback(t, s, "listen", func(http.ResponseWriter, *http.Request) {})
	st := startServer(t, s)
	c := newClient(t, nil)
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
	if err := <-st.done; err != nil {
		t.Errorf("run returned %v", err)
	}
}
