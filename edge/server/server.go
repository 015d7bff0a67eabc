package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"pkgedge/edge/framing"
)

const (
	readHeaderTimeout = 10 * time.Second
	// Longer than the 60 to 75 s after which clients and proxies drop a
	// keep-alive connection themselves: one that the edge closes while a
	// request is on its way costs npm and pnpm 10 s.
	idleTimeout    = 120 * time.Second
	maxHeaderBytes = 32 << 10
	maxStreams     = 128       // concurrent HTTP/2 requests of one connection
	maxReceived    = 256 << 10 // bytes of bodies that it has sent and nobody has read; a stream has half
	drainLimit     = 30 * time.Second
	stallLimit     = time.Minute // for an answer of the lane
)

// Server owns the edge's listeners. Requests have no total time limit, since a slow
// client of a large tarball is in its right: a handler sets a write deadline for
// each step of progress.
type Server struct {
	DrainLimit time.Duration // how long requests in flight may take to finish
	Refused    func()        // is told of each request that is refused for its framing, before any handler
	Conns      Conns         // of all listeners but the admin's
	Heads      framing.Heads // of clients; nil for no bound

	log       *slog.Logger
	listeners []*Listener
}

// Listener is one address. Its Handler and TLS are set before Run.
type Listener struct {
	net.Listener
	Handler http.Handler
	TLS     *tls.Config  // nil for plain HTTP/1.1; else HTTP/1.1 and HTTP/2
	Ending  func()       // is called when the listener begins to drain, to end answers without an end; nil for nothing
	Lane    framing.Lane // answers HTTP/1.1 requests before Handler; nil for none
	Proxied *Proxied     // nil for connections that begin with a request or a handshake

	key string // the address's key in the configuration
}

// New returns a server without listeners.
func New(log *slog.Logger) *Server {
	return &Server{DrainLimit: drainLimit, Refused: func() {}, log: log}
}

// Open listens on addr, which the configuration calls key. Close gives the
// address back where Run is not reached.
func (s *Server) Open(ctx context.Context, key, addr string) (*Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is in use by another process: stop it, or choose another address: %w", key, addr, err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: this user may not listen on %s: choose a port above 1023, or grant the right: %w", key, addr, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s: %s is not an address of this machine: %w", key, addr, err)
	case err != nil:
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", key, addr, err)
	}
	l := &Listener{Listener: ln, key: key, Handler: http.NotFoundHandler()}
	s.listeners = append(s.listeners, l)
	return l, nil
}

// Close closes every listener that Run has not closed.
func (s *Server) Close() {
	for _, l := range s.listeners {
		l.Close()
	}
}

// Run serves until ctx is done or a listener fails, and then drains. First
// unready is called, so that load balancers are told; then the listeners close
// and idle connections with them; then requests in flight have the limit to
// finish. The admin listener goes last: it is watched while the others drain.
// The error is nil after a clean drain.
func (s *Server) Run(ctx context.Context, unready func()) error {
	// Requests under way outlive the signal to drain.
	base := context.WithoutCancel(ctx)
	failures := make(chan error, len(s.listeners))
	var public, admin []*http.Server
	var serving sync.WaitGroup
	for _, l := range s.listeners {
		h := s.httpServer(base, l)
		if l.Ending != nil {
			h.RegisterOnShutdown(l.Ending)
		}
		if l.key == "admin.listen" {
			admin = append(admin, h)
		} else {
			public = append(public, h)
		}
		var http2 *queue
		if l.TLS != nil {
			http2 = newQueue(l.Addr())
			h2 := s.http2Server(base, l)
			public = append(public, h2)
			serving.Go(func() { _ = h2.Serve(http2) }) // ends with its queue
		}
		serving.Go(func() {
			if err := s.serve(l, h, http2); !errors.Is(err, http.ErrServerClosed) {
				failures <- fmt.Errorf("%s: cannot serve: %w", l.key, err)
			}
		})
	}
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-failures:
	}
	s.log.Info("draining", "limit", s.DrainLimit)
	unready()
	limited, cancel := context.WithTimeout(base, s.DrainLimit)
	defer cancel()
	drained := errors.Join(drain(limited, public), drain(limited, admin))
	serving.Wait()
	return errors.Join(failed, drained)
}

func (s *Server) serve(l *Listener, h *http.Server, http2 *queue) error {
	g := &framing.Guard{Lane: l.Lane, Heads: s.Heads, Idle: idleTimeout, Header: readHeaderTimeout, Stalled: stallLimit, Refused: s.refused}
	conns := l.Listener
	if l.Proxied != nil {
		conns = s.clients(conns, l.Proxied)
	}
	if l.key != "admin.listen" {
		conns = bounded{conns, &s.Conns}
	}
	if l.TLS != nil {
		return h.Serve(newHandshakes(conns, h.TLSConfig.Clone(), g, http2, h.ErrorLog))
	}
	return h.Serve(guarded{conns, g})
}

// refused writes down a request that is refused. A stranger can have that as often as it
// likes, but not the other fault.
func (s *Server) refused(client net.Addr, reason error) {
	level := slog.LevelError
	if known := framing.Error(""); errors.As(reason, &known) {
		level = slog.LevelDebug
		s.Refused()
	}
	s.log.Log(context.Background(), level, "request refused", "client", client, "reason", reason)
}

// guarded has each connection judged by a guard.
type guarded struct {
	net.Listener
	guard *framing.Guard
}

func (g guarded) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return g.guard.Wrap(c), nil
}

func (s *Server) httpServer(base context.Context, l *Listener) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           l.Handler,
		TLSConfig:         withProtocols(l.TLS),
		Protocols:         &protocols,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         stateChanged,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          log.New(errorLog{s.log.With("listener", l.key)}, "", 0),
	}
}

// http2Server serves the connections that have agreed to speak HTTP/2. It is told that they
// are not encrypted: net/http takes a *tls.Conn as it is, and there would be no place for
// framing.Frames.
func (s *Server) http2Server(base context.Context, l *Listener) *http.Server {
	h := s.httpServer(base, l)
	h.Handler = encrypted{l.Handler}
	h.TLSConfig = nil
	h.Protocols = new(http.Protocols)
	h.Protocols.SetUnencryptedHTTP2(true)
	h.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams: maxStreams, MaxReadFrameSize: 16 << 10, // the least that there is
		MaxReceiveBufferPerConnection: maxReceived, MaxReceiveBufferPerStream: maxReceived / 2,
		WriteByteTimeout: stallLimit, SendPingTimeout: stallLimit,
	}
	return h
}

// encrypted has requests say that they came over TLS. Nobody asks for more of it than that.
type encrypted struct{ http.Handler }

func (e encrypted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.TLS = &overTLS
	e.Handler.ServeHTTP(w, r)
}

var overTLS = tls.ConnectionState{Version: tls.VersionTLS12, HandshakeComplete: true, NegotiatedProtocol: "h2"}

// drain shuts servers down at once, and cuts the requests that are left when ctx is
// done.
func drain(ctx context.Context, servers []*http.Server) error {
	errs := make([]error, len(servers))
	var wg sync.WaitGroup
	for i, h := range servers {
		wg.Go(func() {
			err := h.Shutdown(ctx)
			if errors.Is(err, context.DeadlineExceeded) {
				h.Close()
				err = fmt.Errorf("drain: requests were cut that did not finish in time: %w", err)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// errorLog passes on the reports of net/http. A failed handshake is a stranger's
// fault, and there are many.
type errorLog struct{ log *slog.Logger }

func (e errorLog) Write(line []byte) (int, error) {
	level := slog.LevelWarn
	if bytes.Contains(line, []byte("TLS handshake error")) {
		level = slog.LevelDebug
	}
	e.log.Log(context.Background(), level, string(bytes.TrimSpace(line)))
	return len(line), nil
}
