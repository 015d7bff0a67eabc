package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// firstDescriptor is that of the first socket (sd_listen_fds(3)).
const firstDescriptor = 3

// variables are those of the environment that are for this process alone.
var variables = []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"}

// Socket is a socket of a socket unit.
type Socket struct {
	net.Listener
	Name string // FileDescriptorName= of the unit; the unit's own name where it has none
}

// Sockets takes the sockets that systemd has opened for this process. It is to be called once.
func Sockets(env func(string) (string, bool)) ([]Socket, error) {
	if pid, _ := env("LISTEN_PID"); pid != strconv.Itoa(os.Getpid()) {
		return nil, nil // none, or another process's
	}
	count, _ := env("LISTEN_FDS")
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("LISTEN_FDS=%q is no number of sockets", count)
	}
	text, _ := env("LISTEN_FDNAMES")
	names := strings.Split(text, ":")
	var all []Socket
	for i := range n {
		fd := firstDescriptor + i
		syscall.CloseOnExec(fd)
		name := ""
		if i < len(names) {
			name = names[i]
		}
		f := os.NewFile(uintptr(fd), name)
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			for _, s := range all {
				s.Close()
			}
			return nil, fmt.Errorf("descriptor %d (%s) of systemd is no listening TCP socket: write ListenStream=: %w", fd, name, err)
		}
		all = append(all, Socket{l, name})
	}
	return all, nil
}

// WithoutSockets is the environment for a process that this one starts.
func WithoutSockets(environ []string) []string {
	var rest []string
next:
	for _, v := range environ {
		for _, name := range variables {
			if strings.HasPrefix(v, name+"=") {
				continue next
			}
		}
		rest = append(rest, v)
	}
	return rest
}
