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
	DrainDelay time.Duration // how long listeners stay open after load balancers were told
	DrainLimit time.Duration // how long requests in flight may take to finish, from then on
	Refused    func()        // is told of each request that is refused for its framing, before any handler
	Conns      Conns         // of all listeners but the admin's
	Heads      framing.Heads // of clients; nil for no bound
	Tickets    string        // secret of several edges, which resume each other's TLS sessions; "" for one alone

	log        *slog.Logger
	listeners  []*Listener
	inherited  []Socket
	draining   draining
	calm       calm
	handedOver chan struct{} // closed by HandOver
	handOver   func()        // once
}

// Listener is one address. Its Handler and TLS are set before Run.
type Listener struct {
	net.Listener
	Handler http.Handler
	TLS     *tls.Config  // nil for plain HTTP/1.1; else HTTP/1.1 and HTTP/2
	Ending  func()       // is called when the listener begins to drain, to end answers without an end; nil for nothing
	Lane    framing.Lane // answers HTTP/1.1 requests before Handler; nil for none
	Proxied *Proxied     // nil for connections that begin with a request or a handshake
	Known   bool         // its clients are no strangers, and their connections have no bounds

	key    string // the address's key in the configuration
	accept *stoppable
}

const adminKey = "admin.listen"

// New returns a server without listeners.
func New(log *slog.Logger) *Server {
	s := &Server{DrainLimit: drainLimit, Refused: func() {}, log: log, handedOver: make(chan struct{})}
	s.handOver = sync.OnceFunc(func() { close(s.handedOver) })
	return s
}

// Open listens on addr, which the configuration calls key: on a socket that was inherited for
// it, or on one of its own. Close gives the address back where Run is not reached.
func (s *Server) Open(ctx context.Context, key, addr string) (*Listener, error) {
	if ln := s.inherit(key, addr); ln != nil {
		return s.add(key, ln), nil
	}
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
	return s.add(key, ln), nil
}

func (s *Server) add(key string, ln net.Listener) *Listener {
	l := &Listener{Listener: ln, key: key, Handler: http.NotFoundHandler()}
	l.accept = newStoppable(l)
	s.listeners = append(s.listeners, l)
	return l
}

// Close closes every listener that Run has not closed.
func (s *Server) Close() {
	for _, l := range s.listeners {
		l.Close()
	}
}

// Run serves until ctx is done, HandOver is called or a listener fails, and then drains as
// drain.go has it. unready is called first, so that load balancers are told. The error is nil
// after a clean drain.
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
		if l.key == adminKey {
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
	handedOver := false
	select {
	case <-ctx.Done():
	case <-s.handedOver:
		handedOver = true
	case failed = <-failures:
	}
	unready()
	drained := s.drain(base, public, admin, handedOver)
	serving.Wait()
	return errors.Join(failed, drained)
}

func (s *Server) serve(l *Listener, h *http.Server, http2 *queue) error {
	g := &framing.Guard{Lane: l.Lane, Heads: s.Heads, Idle: idleTimeout, Header: readHeaderTimeout, Stalled: stallLimit, Refused: s.refused}
	var conns net.Listener = l.accept
	if l.Proxied != nil {
		p := s.clients(conns, l.Proxied)
		s.draining.watch(p)
		conns = p
	}
	if l.key != adminKey && !l.Known {
		conns = bounded{conns, &s.Conns}
	}
	if l.TLS != nil {
		secret := s.Tickets
		if l.Known { // a stranger's ticket is none there
			secret = ""
		}
		p := newHandshakes(conns, &handshakes{
			config: h.TLSConfig.Clone(), tickets: tickets{secret: secret}, calm: &s.calm, guard: g, http2: http2, log: h.ErrorLog,
		})
		s.draining.watch(p)
		return h.Serve(p)
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
	if errors.Is(reason, framing.ErrCalm) && !s.Conns.exempt(client) {
		s.calm.add(clientOf(client), time.Now())
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
	changed := framing.StateChanged
	if l.key != adminKey {
		changed = s.draining.stateChanged
	}
	return &http.Server{
		Handler:           s.draining.politely(l.Handler),
		TLSConfig:         withProtocols(l.TLS),
		Protocols:         &protocols,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         changed,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          log.New(errorLog{s.log.With("listener", l.key)}, "", 0),
	}
}

// http2Server serves the connections that have agreed to speak HTTP/2. It is told that they
// are not encrypted: net/http takes a *tls.Conn as it is, and there would be no place for
// framing.Frames.
func (s *Server) http2Server(base context.Context, l *Listener) *http.Server {
	h := s.httpServer(base, l)
	h.Handler = encrypted{h.Handler}
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
	if r.Context().Err() != nil {
		return // it was reset before this began
	}
	r.TLS = &overTLS
	e.Handler.ServeHTTP(w, r)
}

var overTLS = tls.ConnectionState{Version: tls.VersionTLS12, HandshakeComplete: true, NegotiatedProtocol: "h2"}

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
