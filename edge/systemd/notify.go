package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Notifier tells systemd of the state of this process (sd_notify(3)), for units of
// Type=notify. The zero Notifier tells nobody.
type Notifier struct {
	socket   string
	watchdog time.Duration
}

// NewNotifier returns a notifier for the variables of the environment.
func NewNotifier(env func(string) (string, bool)) *Notifier {
	n := &Notifier{}
	n.socket, _ = env("NOTIFY_SOCKET")
	micros, _ := env("WATCHDOG_USEC")
	if pid, set := env("WATCHDOG_PID"); set && pid != strconv.Itoa(os.Getpid()) {
		micros = ""
	}
	if us, err := strconv.ParseInt(micros, 10, 64); err == nil && us > 0 {
		n.watchdog = time.Duration(us) * time.Microsecond
	}
	return n
}

// Ready: the process serves.
func (n *Notifier) Ready() error { return n.tell("READY=1") }

// Reloading: the configuration is read again. Ready ends it.
func (n *Notifier) Reloading() error {
	return n.tell("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(monotonic().Microseconds(), 10))
}

// Stopping: the process drains.
func (n *Notifier) Stopping() error { return n.tell("STOPPING=1") }

// Main: that process, a child of this one, is the service from now on.
func (n *Notifier) Main(pid int) error { return n.tell("MAINPID=" + strconv.Itoa(pid)) }

// Alive keeps the watchdog from ending the process.
func (n *Notifier) Alive() error { return n.tell("WATCHDOG=1") }

// Watchdog is the time within which the watchdog wants to hear Alive, 0 for no watchdog.
func (n *Notifier) Watchdog() time.Duration { return n.watchdog }

func (n *Notifier) tell(lines ...string) error {
	if n.socket == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("cannot tell systemd: %w", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("cannot tell systemd: %w", err)
	}
	return nil
}
