package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
)

// Taken is the place of a running edge that this process takes.
type Taken struct {
	Sockets []Socket
	Version string // of the running edge
	PID     int
	State   json.RawMessage // the rest that it tells

	conn *net.UnixConn
	peer atomic.Pointer[peer] // nil before Serving
	told sync.WaitGroup
}

// Take asks the edge that runs on a cache directory for its sockets. Nothing has happened
// until Ready. The error is ErrNobody where there is no such edge.
func Take(dir, version string) (*Taken, error) {
	var c *net.UnixConn
	if _, err := os.Stat(filepath.Join(dir, fileName)); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNobody
	}
	err := inDir(dir, fileName, func(path string) (err error) {
		c, err = net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
		return err
	})
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) { // of one that was killed
		return nil, ErrNobody
	}
	if err != nil {
		return nil, fmt.Errorf("cannot reach the edge that runs on %q: %w", dir, err)
	}
	t := &Taken{conn: c}
	if err := t.begin(version); err != nil {
		c.Close()
		return nil, fmt.Errorf("cannot take the sockets of the edge that runs on %q: %w", dir, err)
	}
	return t, nil
}

func (t *Taken) begin(version string) error {
	if err := send(t.conn, message{Op: opHello, Version: version, PID: os.Getpid()}); err != nil {
		return err
	}
	m, listeners, err := receive(t.conn, opSockets, answerLimit)
	if err != nil {
		return err
	}
	if len(listeners) != len(m.Keys) {
		closeAll(listeners)
		return fmt.Errorf("%d sockets came for %d keys", len(listeners), len(m.Keys))
	}
	t.Version, t.PID, t.State = m.Version, m.PID, m.Data
	for i, l := range listeners {
		t.Sockets = append(t.Sockets, Socket{l, m.Keys[i]})
	}
	return nil
}

// Ready has the running edge leave the cache directory. This process must serve within a
// minute then.
func (t *Taken) Ready() error {
	if err := send(t.conn, message{Op: opGo}); err != nil {
		return err
	}
	_, _, err := receive(t.conn, opReleased, prepLimit)
	return err
}

// Serving has the running edge stop to accept connections, and drain. apply puts changes in
// force that its last requests make. When Serving returns it is this process's turn to accept.
func (t *Taken) Serving(apply func(json.RawMessage) error) error {
	if err := send(t.conn, message{Op: opServing}); err != nil {
		return err
	}
	if _, _, err := receive(t.conn, opStopped, prepLimit); err != nil {
		return err
	}
	p := newPeer(t.conn, apply)
	t.peer.Store(p)
	t.told.Go(p.listen)
	return nil
}

// Tell tells the edge that was replaced of a change, for the requests that it still has. It
// does nothing once that edge is gone.
func (t *Taken) Tell(change any) error {
	p := t.peer.Load()
	if p == nil {
		return nil
	}
	if err := p.tell(change); err != nil && !errors.Is(err, ErrGone) {
		return err
	}
	return nil
}

// Close ends the conversation. Sockets stay open.
func (t *Taken) Close() {
	t.conn.Close()
	t.told.Wait()
}
