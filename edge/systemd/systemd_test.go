package systemd

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func envOf(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestNotifications(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	n := NewNotifier(envOf(map[string]string{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "3000000"}))
	if n.Watchdog() != 3*time.Second {
		t.Errorf("the watchdog waits for %v", n.Watchdog())
	}
	for _, tt := range []struct {
		tell func() error
		want string
	}{
		{n.Ready, "READY=1"},
		{n.Reloading, "RELOADING=1\nMONOTONIC_USEC="},
		{n.Stopping, "STOPPING=1"},
		{n.Alive, "WATCHDOG=1"},
		{func() error { return n.Main(42) }, "MAINPID=42"},
	} {
		if err := tt.tell(); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 200)
		k, err := manager.Read(b)
		if got := string(b[:k]); err != nil || !strings.HasPrefix(got, tt.want) {
			t.Errorf("got %q, %v; want %q", got, err, tt.want)
		} else if after, found := strings.CutPrefix(got, "RELOADING=1\nMONOTONIC_USEC="); found {
			if us, err := strconv.ParseInt(after, 10, 64); err != nil || us <= 0 {
				t.Errorf("the time of a reload is %q", after)
			}
		}
	}
	if err := new(Notifier).Ready(); err != nil {
		t.Errorf("without systemd: %v", err)
	}
	if got := NewNotifier(envOf(map[string]string{"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"})).Watchdog(); got != 0 {
		t.Errorf("the watchdog of another process: %v", got)
	}
}

// A process of its own plays the service: it takes the sockets, and answers on each with its
// name.
func TestSockets(t *testing.T) {
	if os.Getenv("SYSTEMD_TEST_SERVICE") != "" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		all, err := Sockets(os.LookupEnv)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			c, err := s.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.Write([]byte(s.Name))
			c.Close()
		}
		return
	}
	if all, err := Sockets(envOf(map[string]string{"LISTEN_PID": "1", "LISTEN_FDS": "3"})); all != nil || err != nil {
		t.Errorf("sockets of another process: %v, %v", all, err)
	}
	if _, err := Sockets(envOf(map[string]string{"LISTEN_PID": strconv.Itoa(os.Getpid()), "LISTEN_FDS": "x"})); err == nil {
		t.Error("no number of sockets is taken")
	}
	service := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSockets$")
	service.Env = append(os.Environ(), "SYSTEMD_TEST_SERVICE=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=tls.listen:listen")
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		service.ExtraFiles = append(service.ExtraFiles, f)
		addrs = append(addrs, l.Addr().String())
	}
	var said strings.Builder
	service.Stdout, service.Stderr = &said, &said
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"tls.listen", "listen"} {
		c, err := net.Dial("tcp", addrs[i])
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(30 * time.Second))
		b := make([]byte, 100)
		if n, err := c.Read(b); string(b[:n]) != want {
			t.Errorf("socket %d is called %q, %v; want %q", i, b[:n], err, want)
		}
		c.Close()
	}
	if err := service.Wait(); err != nil {
		t.Errorf("the service: %v\n%s", err, said.String())
	}
}

func TestWithoutSockets(t *testing.T) {
	got := WithoutSockets([]string{"A=1", "LISTEN_PID=2", "LISTEN_FDS=1", "LISTEN_FDNAMES=a", "WATCHDOG_PID=2", "WATCHDOG_USEC=5", "NOTIFY_SOCKET=x"})
	if !slices.Equal(got, []string{"A=1", "WATCHDOG_USEC=5", "NOTIFY_SOCKET=x"}) {
		t.Errorf("got %v", got)
	}
}
