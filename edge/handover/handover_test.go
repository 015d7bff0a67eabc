package handover

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
)

// host is a running edge.
type host struct {
	sockets  []Socket
	refuses  error
	released chan struct{}
	replaced chan int
	failed   chan error
	applied  chan string
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{released: make(chan struct{}, 4), replaced: make(chan int, 4), failed: make(chan error, 4), applied: make(chan string, 4)}
	for _, key := range []string{"listen", "admin.listen"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		h.sockets = append(h.sockets, Socket{l, key})
	}
	return h
}

func (h *host) Sockets() ([]Socket, any, error)    { return h.sockets, "state", h.refuses }
func (h *host) Release() error                     { h.released <- struct{}{}; return nil }
func (h *host) Replaced(pid int)                   { h.replaced <- pid }
func (h *host) Apply(change json.RawMessage) error { h.applied <- string(change); return nil }
func (h *host) Failed(err error, released bool)    { h.failed <- err }

func offered(t *testing.T, dir string, h *host) *Offer {
	t.Helper()
	o, err := Listen(dir, "1", h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

// longDir is a directory whose path is longer than an address of a unix socket.
func longDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestHandOver(t *testing.T) {
	edgetest.NoLeaks(t)
	dir, h := longDir(t), newHost(t)
	o := offered(t, dir, h)
	if info, err := os.Stat(filepath.Join(dir, fileName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the socket: %v, %v", info, err)
	}
	taken, err := Take(dir, "2")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if taken.Version != "1" || taken.PID != os.Getpid() || len(taken.Sockets) != 2 || string(taken.State) != `"state"` {
		t.Fatalf("taken: %+v", taken)
	}

	// A connection in the queue of a socket stays when the first process closes its own.
	queued, err := net.Dial("tcp", h.sockets[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer queued.Close()
	h.sockets[0].Close()
	if taken.Sockets[0].Key != "listen" || taken.Sockets[1].Key != "admin.listen" {
		t.Errorf("keys: %+v", taken.Sockets)
	}
	c, err := taken.Sockets[0].Accept()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "hello")
	c.Close()
	if text, err := io.ReadAll(queued); string(text) != "hello" {
		t.Errorf("the connection that was queued: %q, %v", text, err)
	}
	for _, s := range taken.Sockets {
		defer s.Close()
	}

	if err := taken.Ready(); err != nil {
		t.Fatal(err)
	}
	edgetest.Receive(t, h.released, "the release")
	told := make(chan error)
	go func() { told <- o.Tell("a change") }() // waits for the successor to serve
	heard := make(chan string, 2)
	if err := taken.Serving(func(data json.RawMessage) error {
		var text string
		err := json.Unmarshal(data, &text)
		heard <- text
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if pid := edgetest.Receive(t, h.replaced, "word of it"); pid != os.Getpid() {
		t.Errorf("replaced by %d", pid)
	}
	if err := edgetest.Receive(t, told, "the answer"); err != nil {
		t.Errorf("told: %v", err)
	}
	if text := edgetest.Receive(t, heard, "the change"); text != "a change" {
		t.Errorf("heard %q", text)
	}
	if err := taken.Tell("another"); err != nil || edgetest.Receive(t, h.applied, "the change") != `"another"` {
		t.Errorf("the edge that is replaced is told: %v", err)
	}
	if err := o.Tell(1); err == nil || !strings.Contains(err.Error(), "cannot unmarshal") {
		t.Errorf("a change that could not be put in force: %v", err)
	}
	o.Close()
	if err := taken.Tell("more"); err != nil {
		t.Errorf("the edge that was replaced is gone: %v", err)
	}
	if _, err := Take(dir, "3"); !errors.Is(err, ErrNobody) {
		t.Errorf("a second successor of one edge: %v", err)
	}
}

// A successor that ends on its way leaves the running edge as it was, and ready for another.
func TestSuccessorThatGoesAway(t *testing.T) {
	edgetest.NoLeaks(t)
	dir, h := t.TempDir(), newHost(t)
	o := offered(t, dir, h)
	take := func() *Taken {
		taken, err := Take(dir, "2")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range taken.Sockets {
			s.Close()
		}
		return taken
	}
	take().Close()
	if err := edgetest.Receive(t, h.failed, "the failure"); !errors.Is(err, ErrGone) {
		t.Errorf("failed: %v", err)
	}
	taken := take()
	if err := taken.Ready(); err != nil {
		t.Fatal(err)
	}
	taken.Close()
	edgetest.Receive(t, h.failed, "the failure")
	edgetest.Until(t, "the next offer", func() bool { _, err := os.Stat(filepath.Join(dir, fileName)); return err == nil })
	if err := o.Tell("x"); err == nil {
		t.Error("a successor that is gone was told")
	}
	taken = take()
	if err := taken.Ready(); err != nil {
		t.Fatal(err)
	}
	if err := taken.Serving(nil); err != nil {
		t.Fatal(err)
	}
	edgetest.Receive(t, h.replaced, "the third")
	taken.Close()
	if c, err := net.Dial("tcp", h.sockets[0].Addr().String()); err != nil {
		t.Errorf("the running edge's socket: %v", err)
	} else {
		c.Close()
	}
}

func TestNobodyIsThere(t *testing.T) {
	edgetest.NoLeaks(t)
	dir := t.TempDir()
	if _, err := Take(dir, "2"); !errors.Is(err, ErrNobody) {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := Take(filepath.Join(dir, "none"), "2"); !errors.Is(err, ErrNobody) {
		t.Errorf("no directory: %v", err)
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: filepath.Join(dir, fileName), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close() // as an edge that was killed leaves it
	if _, err := Take(dir, "2"); !errors.Is(err, ErrNobody) {
		t.Errorf("a socket without a process: %v", err)
	}
	h := newHost(t)
	h.refuses = errors.New("draining")
	offered(t, dir, h) // takes the place of the file
	var refused *Refused
	if _, err := Take(dir, "2"); !errors.As(err, &refused) || refused.Reason != "draining" {
		t.Errorf("an edge that drains: %v", err)
	}
}

// The words of a stranger to the protocol end its connection, and nothing else.
func TestNonsenseIsNoHello(t *testing.T) {
	edgetest.NoLeaks(t)
	dir, h := t.TempDir(), newHost(t)
	offered(t, dir, h)
	for _, text := range []string{"hello", `{"op":"serving"}`, `{"op":"hello"}x`, strings.Repeat("x", 2*maxMessage)} {
		c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: filepath.Join(dir, fileName), Net: "unixpacket"})
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(edgetest.Patience))
		io.WriteString(c, text)
		edgetest.Receive(t, h.failed, "the failure")
		c.Close()
	}
	if taken, err := Take(dir, "2"); err != nil {
		t.Error(err)
	} else {
		for _, s := range taken.Sockets {
			s.Close()
		}
		taken.Close()
	}
}
