package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// Host is the running edge.
type Host interface {
	// Sockets are those that a successor is given, with further state for it, as JSON.
	// An error refuses it.
	Sockets() ([]Socket, any, error)
	// Release leaves the cache directory. The edge serves on, and accepts connections.
	Release() error
	// Replaced: the successor is ready. When it returns the edge accepts no connection any
	// more; it is to drain.
	Replaced(pid int)
	// Apply puts a change in force that the successor's requests made.
	Apply(change json.RawMessage) error
	// Failed: the successor went away. The edge goes on as it is, after Release without a
	// cache directory.
	Failed(err error, released bool)
}

// Offer is the offer of the running edge to a successor.
type Offer struct {
	dir, version string
	host         Host
	running      sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	listener  *net.UnixListener // nil while there is none
	successor *successor        // nil before there is one
}

// successor is a process that takes the edge's place.
type successor struct {
	*peer
	serving chan struct{} // closed once it serves, or is gone
	failed  error         // set before
}

// Listen offers the place of an edge in its cache directory, which nobody else may have.
func Listen(dir, version string, host Host) (*Offer, error) {
	o := &Offer{dir: dir, version: version, host: host}
	if err := o.listen(); err != nil {
		return nil, fmt.Errorf("cannot offer an upgrade in %q: %w", dir, err)
	}
	return o, nil
}

func (o *Offer) listen() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil
	}
	const fresh = fileName + ".new"
	os.Remove(filepath.Join(o.dir, fresh)) // a crash may have left it
	var l *net.UnixListener
	err := inDir(o.dir, fresh, func(path string) (err error) {
		l, err = net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
		return err
	})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(filepath.Join(o.dir, fresh), 0o600)
	if err == nil {
		err = os.Rename(filepath.Join(o.dir, fresh), filepath.Join(o.dir, fileName))
	}
	if err != nil {
		l.Close()
		return err
	}
	o.listener = l
	o.running.Go(func() { o.accept(l) })
	return nil
}

// stop ends the listener: the directory is another process's from now on.
func (o *Offer) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.listener != nil {
		os.Remove(filepath.Join(o.dir, fileName))
		o.listener.Close()
		o.listener = nil
	}
}

// accept serves one process after the other, until one has taken the edge's place.
func (o *Offer) accept(l *net.UnixListener) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		s := &successor{peer: newPeer(c, o.host.Apply), serving: make(chan struct{})}
		o.mu.Lock()
		o.successor = s
		closed := o.closed
		o.mu.Unlock()
		if closed {
			c.Close()
			return
		}
		pid, released, err := o.serve(c)
		if err == nil {
			o.host.Replaced(pid)
			err = send(c, message{Op: opStopped})
			close(s.serving) // only now: the news comes behind
			if err == nil {
				s.listen()
			}
			return
		}
		s.failed = err
		close(s.serving)
		c.Close()
		o.host.Failed(err, released)
		if released {
			if err := o.listen(); err != nil {
				o.host.Failed(err, false)
			}
			return
		}
	}
}

// serve speaks with one process until it serves.
func (o *Offer) serve(c *net.UnixConn) (pid int, released bool, err error) {
	hello, _, err := receive(c, opHello, answerLimit)
	if err != nil {
		return 0, false, err
	}
	sockets, state, err := o.host.Sockets()
	m := message{Op: opSockets, Version: o.version, PID: os.Getpid()}
	if err == nil {
		m.Data, err = json.Marshal(state)
	}
	if err != nil {
		send(c, message{Op: opSockets, Err: err.Error()})
		return 0, false, err
	}
	for _, s := range sockets {
		m.Keys = append(m.Keys, s.Key)
	}
	if err := send(c, m, sockets...); err != nil {
		return 0, false, err
	}
	if _, _, err := receive(c, opGo, prepLimit); err != nil {
		return 0, false, err
	}
	o.stop()
	if err := o.host.Release(); err != nil {
		err = fmt.Errorf("cannot leave the cache directory: %w", err)
		send(c, message{Op: opReleased, Err: err.Error()})
		return 0, true, err
	}
	if err := send(c, message{Op: opReleased}); err != nil {
		return 0, true, err
	}
	_, _, err = receive(c, opServing, prepLimit)
	return hello.PID, true, err
}

// Tell tells the successor of a change, and returns when it is in force there. It waits until
// the successor serves.
func (o *Offer) Tell(change any) error {
	o.mu.Lock()
	s := o.successor
	o.mu.Unlock()
	if s == nil {
		return ErrGone
	}
	<-s.serving // bounded by prepLimit
	if s.failed != nil {
		return s.failed
	}
	return s.tell(change)
}

// Close ends the offer, and the connection to the successor.
func (o *Offer) Close() {
	o.mu.Lock()
	o.closed = true
	s := o.successor
	o.mu.Unlock()
	o.stop()
	if s != nil {
		s.conn.Close()
	}
	o.running.Wait()
}

// ErrNobody: no edge runs on the directory, or none that offers its place.
var ErrNobody = errors.New("no edge offers its place there")
