package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/edge/framing"
)

// A drain loses no request of a client that plays by the rules:
//
//  1. /readyz says no. Answers of HTTP/1 say Connection: close, and HTTP/2 hears GOAWAY with
//     the next answer. For DrainDelay connections are still accepted.
//  2. The listeners stop. Connections that were accepted are made ready, and have their
//     request answered.
//  3. Connections of HTTP/1 end with their next answer. One without a request is waited for,
//     up to linger: net/http closes idle connections at once, and the request that is on its way
//     then is lost.
//  4. http.Server.Shutdown: GOAWAY for the rest of HTTP/2, the end of idle connections, and of
//     requests in flight. After DrainLimit those are cut.
//
// The admin listener goes last: it is watched while the others drain. After HandOver it goes at
// once, for the successor has the same socket, and must be the only one that answers there.
const (
	linger          = 2 * time.Second  // before a stop: nobody else accepts connections
	lingerSuccessor = 10 * time.Second // when a successor accepts them
	drainPoll       = 10 * time.Millisecond
)

// HandOver has Run drain: another process accepts connections from the same sockets. When it
// returns this one accepts none any more.
func (s *Server) HandOver() {
	for _, l := range s.listeners {
		l.accept.stop()
	}
	s.handOver()
}

// drain ends all servers.
func (s *Server) drain(base context.Context, public, admin []*http.Server, handedOver bool) error {
	s.draining.begun.Store(true)
	patience := linger
	if handedOver {
		patience = lingerSuccessor
	} else if s.DrainDelay > 0 {
		s.log.Info("not ready: connections are accepted for a while", "delay", s.DrainDelay)
		select {
		case <-time.After(s.DrainDelay):
		case <-s.handedOver:
			handedOver, patience = true, lingerSuccessor
		}
	}
	s.log.Info("draining", "limit", s.DrainLimit)
	limited, cancel := context.WithTimeout(base, s.DrainLimit)
	defer cancel()
	for _, l := range s.listeners {
		if l.key != adminKey || handedOver {
			l.accept.stop()
		}
	}
	s.draining.wait(limited, patience)
	return errors.Join(shutdown(limited, public), shutdown(limited, admin))
}

// shutdown shuts servers down at once, and cuts the requests that are left when ctx is
// done.
func shutdown(ctx context.Context, servers []*http.Server) error {
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

// draining knows the connections that a drain waits for.
type draining struct {
	begun atomic.Bool
	http1 atomic.Int64 // connections that speak HTTP/1

	mu      sync.Mutex
	waiting []*preparing
}

// politely has answers say, once a drain has begun, that their connection ends.
func (d *draining) politely(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.begun.Load() {
			w.Header()["Connection"] = []string{"close"} // net/http makes GOAWAY of it for HTTP/2
		}
		next.ServeHTTP(w, r)
	})
}

// stateChanged is http.Server.ConnState of a listener of clients. It counts connections of
// HTTP/1. Shutdown is polite to the others.
func (d *draining) stateChanged(c net.Conn, s http.ConnState) {
	framing.StateChanged(c, s)
	if _, http2 := c.(*framing.Frames); http2 {
		return
	}
	switch s {
	case http.StateNew:
		d.http1.Add(1)
	case http.StateClosed, http.StateHijacked:
		d.http1.Add(-1)
	}
}

func (d *draining) watch(p *preparing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = append(d.waiting, p)
}

// wait waits until no connection of HTTP/1 is left and none is made ready, for up to patience.
// The count is looked at twice: a connection may be between two of those that count it.
func (d *draining) wait(ctx context.Context, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	for quiet := 0; quiet < 2; {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return
		}
		if quiet++; d.left() > 0 {
			quiet = 0
		}
	}
}

func (d *draining) left() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := int(d.http1.Load())
	for _, p := range d.waiting {
		n += p.count()
	}
	return n
}

// stoppable is a listener that stops to accept before it is closed: connections that it has
// accepted are made ready meanwhile.
type stoppable struct {
	*Listener
	stop    func() // once
	stopped chan struct{}
	closed  chan struct{}
	end     func() // once
}

func newStoppable(l *Listener) *stoppable {
	s := &stoppable{Listener: l, stopped: make(chan struct{}), closed: make(chan struct{})}
	s.stop = sync.OnceFunc(func() {
		close(s.stopped)
		l.Listener.Close()
	})
	s.end = sync.OnceFunc(func() { close(s.closed) })
	return s
}

func (s *stoppable) Accept() (net.Conn, error) {
	c, err := s.Listener.Listener.Accept()
	if err == nil {
		return c, nil
	}
	select {
	case <-s.stopped:
		<-s.closed
		return nil, net.ErrClosed
	default:
		return nil, err
	}
}

func (s *stoppable) Close() error {
	s.stop()
	s.end()
	return nil
}
