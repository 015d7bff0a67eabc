package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

const (
	fileName    = "upgrade" // the socket, in the cache directory
	maxMessage  = 64 << 10
	maxSockets  = 16
	answerLimit = 5 * time.Second // for answers that need no work
	prepLimit   = time.Minute     // for the work before a message
)

// The words of messages, in their order.
const (
	opHello    = "hello"
	opSockets  = "sockets"
	opGo       = "go"
	opReleased = "released"
	opServing  = "serving"
	opStopped  = "stopped"
	opTell     = "tell"
	opOK       = "ok"
)

type message struct {
	Op      string          `json:"op"`
	Version string          `json:"version,omitempty"`
	PID     int             `json:"pid,omitempty"`
	Keys    []string        `json:"keys,omitempty"` // of the sockets, in the order of the descriptors
	Data    json.RawMessage `json:"data,omitempty"`
	Err     string          `json:"error,omitempty"`
}

// Socket is a listening socket and its key in the configuration.
type Socket struct {
	net.Listener
	Key string
}

// send sends a message, and the descriptors of sockets with it.
func send(c *net.UnixConn, m message, sockets ...Socket) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	var fds []int
	defer func() {
		for _, fd := range fds {
			syscall.Close(fd)
		}
	}()
	for _, s := range sockets {
		fd, err := duplicate(s.Listener)
		if err != nil {
			return fmt.Errorf("cannot pass the socket of %s: %w", s.Key, err)
		}
		fds = append(fds, fd)
	}
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	c.SetWriteDeadline(time.Now().Add(answerLimit))
	_, _, err = c.WriteMsgUnix(text, rights, nil)
	return err
}

// duplicate returns another descriptor of a socket. Listener.File has one too, but a call of
// its Fd has the socket block, for both.
func duplicate(l net.Listener) (fd int, err error) {
	socket, ok := l.(syscall.Conn)
	if !ok {
		return 0, errors.New("it is no socket")
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	if failed := raw.Control(func(at uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if fd, err = syscall.Dup(int(at)); err == nil {
			syscall.CloseOnExec(fd)
		}
	}); failed != nil {
		return 0, failed
	}
	return fd, err
}

// receive waits for a message with that word.
func receive(c *net.UnixConn, op string, limit time.Duration) (message, []net.Listener, error) {
	m, sockets, err := read(c, time.Now().Add(limit))
	switch {
	case err != nil:
	case m.Err != "":
		err = &Refused{m.Err}
	case m.Op != op:
		err = fmt.Errorf("%q came in the place of %q", m.Op, op)
	}
	if err != nil {
		closeAll(sockets)
		return m, nil, err
	}
	return m, sockets, nil
}

// read waits for a message.
func read(c *net.UnixConn, late time.Time) (message, []net.Listener, error) {
	text, rights := make([]byte, maxMessage), make([]byte, syscall.CmsgSpace(4*maxSockets))
	c.SetReadDeadline(late)
	n, rn, flags, _, err := c.ReadMsgUnix(text, rights)
	sockets, failed := listenersOf(rights[:rn])
	var m message
	switch {
	case errors.Is(err, io.EOF), err == nil && n == 0:
		err = ErrGone
	case err != nil:
	case flags&(syscall.MSG_TRUNC|syscall.MSG_CTRUNC) != 0:
		err = errors.New("a message is too long")
	case failed != nil:
		err = failed
	default:
		err = json.Unmarshal(text[:n], &m)
	}
	if err != nil {
		closeAll(sockets)
		return m, nil, err
	}
	return m, sockets, nil
}

var errLate = errors.New("the other process does not answer")

// ErrGone reports that the other process has ended.
var ErrGone = errors.New("the other process is gone")

// Refused is the reason for which the other process does not go on.
type Refused struct{ Reason string }

func (r *Refused) Error() string { return r.Reason }

// listenersOf makes listeners of the descriptors that came with a message.
func listenersOf(rights []byte) (all []net.Listener, err error) {
	messages, err := syscall.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		fds, failed := syscall.ParseUnixRights(&messages[i])
		err = errors.Join(err, failed)
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			f := os.NewFile(uintptr(fd), "socket")
			l, failed := net.FileListener(f)
			f.Close()
			if err = errors.Join(err, failed); failed == nil {
				all = append(all, l)
			}
		}
	}
	return all, err
}

func closeAll(all []net.Listener) {
	for _, l := range all {
		l.Close()
	}
}

// inDir calls do with a path of a file in dir that is short enough for an address, whose
// limit is some 100 bytes.
func inDir(dir, name string, do func(path string) error) error {
	if runtime.GOOS != "linux" {
		return do(filepath.Join(dir, name))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return do(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name))
}
