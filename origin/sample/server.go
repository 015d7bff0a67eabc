package sample

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// ErrClosed is the error of a [Server] that was closed.
var ErrClosed = errors.New("server closed")

// Server is a master on a loopback port.
type Server struct {
	master *Master
	addr   string

	mu     sync.Mutex
	run    *run // nil while connections are refused
	closed bool
}

// Start serves the master on a free port of 127.0.0.1, until [Server.Close].
func (m *Master) Start() (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot start master: %w", err)
	}
	s := &Server{master: m, addr: listener.Addr().String()}
	s.run = start(m, listener, s.URL())
	return s, nil
}

// URL is the base URL of the registry, with its base path and without a slash
// at the end: "http://127.0.0.1:40873/registry".
func (s *Server) URL() string { return "http://" + s.addr + s.master.prefix }

// Refuse makes the master die: it breaks every connection, and new ones are
// refused. When it returns, no handler runs any more.
func (s *Server) Refuse() {
	s.mu.Lock()
	run := s.run
	s.run = nil
	s.mu.Unlock()
	if run != nil {
		run.stop()
	}
}

// Resume accepts connections again, on the same port. The error is [ErrClosed],
// or that of a port in use: by another program meanwhile, or because nothing
// was refused.
func (s *Server) Resume() error {
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return fmt.Errorf("cannot resume master: %w", err)
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.run = start(s.master, listener, s.URL())
	}
	s.mu.Unlock()
	if closed {
		listener.Close()
		return ErrClosed
	}
	return nil
}

// Close stops the master: it ends every hang and waits for every handler.
// Closing twice does nothing.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Refuse()
}

// run is the time between the opening of a port and its closing.
type run struct {
	master *Master
	base   string
	server *http.Server
	cancel context.CancelFunc
	done   sync.WaitGroup // the accept loop, and each handler

	mu      sync.Mutex
	stopped bool
}

func start(m *Master, listener net.Listener, base string) *run {
	ctx, cancel := context.WithCancel(context.Background())
	u := &run{master: m, base: base, cancel: cancel}
	u.server = &http.Server{
		Handler:           u,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: time.Minute,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	u.done.Go(func() { u.server.Serve(listener) }) // always fails in the end
	return u
}

// ServeHTTP hands a request to the master, unless the run is over.
func (u *run) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	if u.stopped {
		u.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	u.done.Add(1)
	u.mu.Unlock()
	defer u.done.Done()
	u.master.serve(w, r, u.base)
}

func (u *run) stop() {
	u.mu.Lock()
	u.stopped = true
	u.mu.Unlock()
	u.cancel()
	u.server.Close()
	u.done.Wait()
}
