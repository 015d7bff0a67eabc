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
	n, again, err := call(syscall.SYS_READ, fd, unsafe.Pointer(&i.p[0]), len(i.p), 0)
	if i.n, i.err = n, err; n == 0 && err == nil && !again {
		i.err = io.EOF
	}
	return !again
}

// outgoing is a write under way: a head, and bytes or a part of a file behind it.
type outgoing struct {
	step   func(fd uintptr) (done bool) // write, made once
	head   []byte
	body   Body
	pace   *Conn // is told of each wait for the socket; nil for none
	vector [2]syscall.Iovec
	n      int64
	err    error
}

func (o *outgoing) write(fd uintptr) bool {
	size := int64(len(o.head)+len(o.body.Bytes)) + o.body.Length
	for o.n < size {
		n, again := o.part(fd)
		if o.n += int64(n); again {
			if o.pace != nil {
				o.pace.waits(o.n)
			}
			return false
		}
		if o.err != nil {
			return true
		}
	}
	return true
}

// corked is the size of the largest answer whose head waits in the kernel for the first bytes
// of a file. In an answer of more segments than that the wait runs into the timers of paced
// connections (BBR), and costs several times the answer.
const corked = 60 << 10

// part sends a part of the answer, or finds that the socket is not ready.
func (o *outgoing) part(fd uintptr) (n int, again bool) {
	bytes := o.body.Bytes
	switch rest := o.n - int64(len(o.head)); {
	case rest < 0 && o.body.File != nil:
		flags := 0
		if int64(len(o.head))+o.body.Length <= corked {
			flags = syscall.MSG_MORE
		}
		n, again, o.err = call(syscall.SYS_SENDTO, fd, unsafe.Pointer(&o.head[o.n]), int(-rest), flags)
	case o.body.File != nil:
		n, again, o.err = o.body.send(fd, rest)
	case rest >= 0:
		n, again, o.err = call(syscall.SYS_WRITE, fd, unsafe.Pointer(&bytes[rest]), int(int64(len(bytes))-rest), 0)
	case len(bytes) == 0:
		n, again, o.err = call(syscall.SYS_WRITE, fd, unsafe.Pointer(&o.head[o.n]), int(-rest), 0)
	default:
		o.vector[0].Base, o.vector[1].Base = &o.head[o.n], &bytes[0]
		o.vector[0].SetLen(int(-rest))
		o.vector[1].SetLen(len(bytes))
		n, again, o.err = call(syscall.SYS_WRITEV, fd, unsafe.Pointer(&o.vector[0]), len(o.vector), 0)
	}
	return n, again
}

// sendfileMost is the largest part of a file for one call.
const sendfileMost = 1 << 30

// send sends bytes of the file from rest on.
func (b *Body) send(fd uintptr, rest int64) (n int, again bool, err error) {
	file, at := b.File.Fd(), b.Offset+rest
	size := uintptr(min(b.Length-rest, sendfileMost))
	for {
		var sent uintptr
		var errno syscall.Errno
		if b.Cached {
			sent, _, errno = syscall.RawSyscall6(syscall.SYS_SENDFILE, fd, file, uintptr(unsafe.Pointer(&at)), size, 0, 0)
		} else { // waits for the disk
			sent, _, errno = syscall.Syscall6(syscall.SYS_SENDFILE, fd, file, uintptr(unsafe.Pointer(&at)), size, 0, 0)
		}
		switch {
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			return 0, true, nil
		case errno != 0:
			return 0, false, errno
		case sent == 0:
			return 0, false, io.ErrUnexpectedEOF
		default:
			return int(sent), false, nil
		}
	}
}

// readFile reads from the file.
func (b *Body) readFile(p []byte, at int64) (int, error) {
	if !b.Cached {
		return b.File.ReadAt(p, at)
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PREAD64, b.File.Fd(), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(at), 0, 0)
	if errno != 0 && errno != syscall.EINTR {
		return 0, errno
	}
	if errno != 0 {
		return b.File.ReadAt(p, at)
	}
	return int(n), nil
}

// call makes a system call, again if a signal came between. again says that the socket is
// not ready.
func call(trap, fd uintptr, p unsafe.Pointer, size, flags int) (n int, again bool, err error) {
	for {
		n, _, errno := syscall.RawSyscall6(trap, fd, uintptr(p), uintptr(size), uintptr(flags), 0, 0)
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

// Send writes an answer. pace is told of each wait for the socket; it may be nil.
func (s *socket) Send(head []byte, body Body, pace *Conn) (int64, error) {
	s.out.head, s.out.body, s.out.pace, s.out.n, s.out.err = head, body, pace, 0, nil
	err := s.raw.Write(s.out.step)
	s.out.head, s.out.body, s.out.pace, s.out.vector = nil, Body{}, nil, [2]syscall.Iovec{}
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
