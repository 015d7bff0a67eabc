package framing

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// socket reads and writes a TCP connection without telling the scheduler: a system call on a
// socket that does not block is over before the scheduler could make use of it, and telling
// costs a fifth of an answer. A wait for the socket is the runtime's, as for any other.
//
// One goroutine reads and one writes at a time.
type socket struct {
	raw syscall.RawConn
	in  incoming
	out outgoing
}

// newSocket returns the socket of a connection, nil where it has none of its own, as one of
// TLS has.
func newSocket(c net.Conn) *socket {
	of, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := of.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{raw: raw}
	s.in.step, s.out.step = s.in.read, s.out.write
	return s
}

// incoming is a read under way.
type incoming struct {
	step func(fd uintptr) (done bool) // read, made once
	p    []byte
	n    int
	err  error
}

func (i *incoming) read(fd uintptr) bool {
	n, again, err := call(syscall.SYS_READ, fd, unsafe.Pointer(&i.p[0]), len(i.p))
	if i.n, i.err = n, err; n == 0 && err == nil && !again {
		i.err = io.EOF
	}
	return !again
}

// outgoing is a write under way, of two parts.
type outgoing struct {
	step       func(fd uintptr) (done bool) // write, made once
	head, body []byte
	vector     [2]syscall.Iovec
	n          int
	err        error
}

func (o *outgoing) write(fd uintptr) bool {
	for o.n < len(o.head)+len(o.body) {
		var n int
		var again bool
		switch rest := o.n - len(o.head); {
		case rest >= 0:
			n, again, o.err = call(syscall.SYS_WRITE, fd, unsafe.Pointer(&o.body[rest]), len(o.body)-rest)
		case len(o.body) == 0:
			n, again, o.err = call(syscall.SYS_WRITE, fd, unsafe.Pointer(&o.head[o.n]), -rest)
		default:
			o.vector[0].Base, o.vector[1].Base = &o.head[o.n], &o.body[0]
			o.vector[0].SetLen(-rest)
			o.vector[1].SetLen(len(o.body))
			n, again, o.err = call(syscall.SYS_WRITEV, fd, unsafe.Pointer(&o.vector[0]), len(o.vector))
		}
		if o.n += n; again {
			return false
		}
		if o.err != nil {
			return true
		}
	}
	return true
}

// call makes a system call, again if a signal came between. again says that the socket is
// not ready.
func call(trap, fd uintptr, p unsafe.Pointer, size int) (n int, again bool, err error) {
	for {
		n, _, errno := syscall.RawSyscall(trap, fd, uintptr(p), uintptr(size))
		switch errno {
		case 0:
			return int(n), false, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true, nil
		default:
			return 0, false, errno
		}
	}
}

func (s *socket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.in.p, s.in.n, s.in.err = p, 0, nil
	err := s.raw.Read(s.in.step)
	s.in.p = nil
	if err == nil {
		err = s.in.err
	}
	return s.in.n, asOp("read", err)
}

// Send writes two parts, of which the second may be empty.
func (s *socket) Send(head, body []byte) (int, error) {
	s.out.head, s.out.body, s.out.n, s.out.err = head, body, 0, nil
	err := s.raw.Write(s.out.step)
	s.out.head, s.out.body, s.out.vector = nil, nil, [2]syscall.Iovec{}
	if err == nil {
		err = s.out.err
	}
	return s.out.n, asOp("write", err)
}

// asOp gives an error the form of those of a net.Conn, which net/http knows.
func asOp(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if raw := (*net.OpError)(nil); errors.As(err, &raw) {
		err = raw.Err
	} else if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Err: err}
}
