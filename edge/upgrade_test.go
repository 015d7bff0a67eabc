package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
)

// rounds is how often each way of a change is tried. EDGE_UPGRADES=20 is the long run.
func rounds() int {
	if n, err := strconv.Atoi(os.Getenv("EDGE_UPGRADES")); err == nil {
		return n
	}
	return 2
}

// program builds the edge, once for all tests.
func program(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the program is built; -short leaves it out")
	}
	file := filepath.Join(builds, "edge")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", file, ".").CombinedOutput(); err != nil {
		t.Fatalf("cannot build the edge: %v\n%s", err, text)
	}
	return file
}

var builds string // a directory for the program

func TestMain(m *testing.M) {
	var err error
	if builds, err = os.MkdirTemp("", "edge-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(builds)
	os.Exit(code)
}

// node is an edge with an address, which several processes serve one after the other.
type node struct {
	t                    *testing.T
	program, config, log string
	plain, secure, admin string
	sockets              []*os.File // of a service manager
	purged               atomic.Int64
	master               atomic.Int64 // the version that the master serves
}

// large is the size of a file that is under way while processes change.
const large = 8 << 20

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{t: t, program: program(t)}
	dir := t.TempDir()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		if strings.HasPrefix(r.URL.Path, "/large") {
			w.Write(make([]byte, large))
			return
		}
		fmt.Fprint(w, n.master.Load())
	}))
	t.Cleanup(origin.Close)
	for _, addr := range []*string{&n.plain, &n.secure, &n.admin} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*addr = l.Addr().String()
		l.Close()
	}
	cert, key := edgetest.MakePair(t, dir, "pair")
	n.config, n.log = filepath.Join(dir, "config.yaml"), filepath.Join(dir, "log")
	edgetest.WriteFile(t, n.config, fmt.Sprintf(`
listen: %s
public_url: http://%[1]s
admin: { listen: %s }
tls: { listen: %s, certificate: { cert: %s, key: %s }, redirect: never }
cache: { dir: %s, memory: 64MiB, disk: 256MiB }
log: { access: "off" }
drain: { limit: 60s }
sites:
  - { name: npm, kind: npm }
  - { name: files, kind: files, path: /files, masters: [{ url: %s, role: primary }] }
`, n.plain, n.admin, n.secure, cert, key, filepath.Join(dir, "cache"), origin.URL))
	return n
}

// start starts a process, and returns when it serves.
func (n *node) start(args ...string) *exec.Cmd {
	n.t.Helper()
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	defer log.Close()
	line := append([]string{n.program, "serve", "--config", n.config}, args...)
	cmd := exec.Command(line[0], line[1:]...)
	if len(n.sockets) > 0 { // LISTEN_PID is the process's own
		cmd = exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, line...)...)
		cmd.Env = append(os.Environ(), "LISTEN_FDS="+strconv.Itoa(len(n.sockets)), "LISTEN_FDNAMES=listen:tls.listen:admin.listen")
		cmd.ExtraFiles = n.sockets
	}
	cmd.Stdout, cmd.Stderr = log, log
	before := n.count("started")
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	n.await("started", before+1)
	return cmd
}

// lines are those of the log that have a message.
func (n *node) lines(message string) (all []map[string]any) {
	text, err := os.ReadFile(n.log)
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(text) {
		var fields map[string]any
		if json.Unmarshal(line, &fields) == nil && fields["msg"] == message {
			all = append(all, fields)
		}
	}
	return all
}

func (n *node) count(message string) int { return len(n.lines(message)) }

func (n *node) await(message string, count int) {
	n.t.Helper()
	for end := time.Now().Add(time.Minute); n.count(message) < count; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			text, _ := os.ReadFile(n.log)
			n.t.Fatalf("%q was not logged %d times:\n%s", message, count, text)
		}
	}
}

// clients are clients that send requests all the time, and repeat none.
type clients struct {
	n        *node
	stop     chan struct{}
	running  sync.WaitGroup
	requests atomic.Int64

	mu       sync.Mutex
	failures []string
}

func (n *node) load() *clients {
	c := &clients{n: n, stop: make(chan struct{})}
	trust := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	plain := func() (net.Conn, error) { return net.Dial("tcp", n.plain) }
	secure := func() (net.Conn, error) { return tls.Dial("tcp", n.secure, trust) }
	c.run("kept alive", plain, time.Millisecond, "/edge-sample-app", "/files/a", "/none-%d")
	c.run("kept alive", plain, time.Millisecond, "/edge-sample-app")
	c.run("kept alive, seldom", plain, 700*time.Millisecond, "/edge-sample-app")
	c.run("kept alive, TLS", secure, time.Millisecond, "/edge-sample-app", "/files/b")
	c.run("new connections", plain, time.Millisecond, "/edge-sample-app\nConnection: close", "/files/new-%d\nConnection: close")
	c.run("new connections, TLS", secure, 5*time.Millisecond, "/files/a\nConnection: close")
	c.running.Go(c.http2)
	c.running.Go(c.download)
	c.running.Go(c.purge)
	return c
}

func (c *clients) end(t *testing.T) {
	t.Helper()
	close(c.stop)
	c.running.Wait()
	t.Logf("%d requests, %d purges, %d failures", c.requests.Load(), c.n.purged.Load(), len(c.failures))
	for i, f := range c.failures {
		if i == 20 {
			break
		}
		t.Error(f)
	}
	if len(c.failures) > 0 {
		text, _ := os.ReadFile(c.n.log)
		for line := range bytes.Lines(text) {
			if !bytes.Contains(line, []byte(`"msg":"purged"`)) {
				t.Logf("%s", line)
			}
		}
	}
}

func (c *clients) fail(who string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, fmt.Sprintf("%s %s: %v", time.Now().Format("05.000"), who, err))
}

func (c *clients) ended() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// run sends requests on one connection, for as long as the edge does not say that it ends.
func (c *clients) run(who string, dial func() (net.Conn, error), pause time.Duration, targets ...string) {
	c.running.Go(func() {
		var conn net.Conn
		var reader *bufio.Reader
		for i := 0; !c.ended(); i++ {
			c.requests.Add(1)
			if conn == nil {
				var err error
				if conn, err = dial(); err != nil {
					c.fail(who+", dial", err)
					conn = nil // a *tls.Conn that is nil is none of a net.Conn
					time.Sleep(pause)
					continue
				}
				conn.SetDeadline(time.Now().Add(time.Minute))
				reader = bufio.NewReader(conn)
			}
			target, field, _ := strings.Cut(targets[i%len(targets)], "\n")
			if strings.Contains(target, "%d") {
				target = fmt.Sprintf(target, i)
			}
			resp, err := exchange(conn, reader, target, field)
			if err != nil {
				c.fail(who+", "+target, err)
			}
			if err != nil || resp.Close {
				conn.Close()
				conn = nil
			}
			time.Sleep(pause)
		}
		if conn != nil {
			conn.Close()
		}
	})
}

func exchange(conn net.Conn, reader *bufio.Reader, target, field string) (*http.Response, error) {
	if field != "" {
		field += "\r\n"
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", target, field); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return nil, err
	}
	if want := 200; resp.StatusCode != want && !(strings.HasPrefix(target, "/none") && resp.StatusCode == 404) {
		return nil, fmt.Errorf("answered %s", resp.Status)
	}
	return resp, nil
}

func (c *clients) http2() {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for !c.ended() {
		c.requests.Add(1)
		resp, err := client.Get("https://" + c.n.secure + "/edge-sample-app")
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
				err = fmt.Errorf("%s %s", resp.Proto, resp.Status)
			}
		}
		if err != nil {
			c.fail("HTTP/2", err)
		}
		time.Sleep(time.Millisecond)
	}
}

// download reads a large file slowly.
func (c *clients) download() {
	for i := 0; !c.ended(); i++ {
		c.requests.Add(1)
		resp, err := http.Get(fmt.Sprintf("http://%s/files/large-%d", c.n.plain, i/2))
		if err != nil {
			c.fail("download", err)
			continue
		}
		var n int64
		for err == nil {
			var m int64
			m, err = io.CopyN(io.Discard, resp.Body, large/32)
			n += m
			if !c.ended() {
				time.Sleep(50 * time.Millisecond)
			}
		}
		resp.Body.Close()
		if err != io.EOF || n != large || resp.StatusCode != 200 {
			c.fail("download", fmt.Errorf("%s, %d bytes, %w", resp.Status, n, err))
		}
	}
}

// purge has something forgotten, and looks whether it is.
func (c *clients) purge() {
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for !c.ended() {
		c.requests.Add(2)
		want := c.n.master.Add(1)
		resp, err := client.Post("http://"+c.n.admin+"/purge", "application/json", strings.NewReader(`{"site":"files"}`))
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 {
				err = fmt.Errorf("answered %s", resp.Status)
			}
		}
		if err != nil {
			c.fail("purge", err)
			continue
		}
		resp, err = client.Get("http://" + c.n.plain + "/files/purged")
		if err != nil {
			c.fail("after a purge", err)
			continue
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got, err := strconv.ParseInt(string(text), 10, 64); err != nil || got < want {
			c.fail("after a purge", fmt.Errorf("%q, want version %d", text, want))
		}
		c.n.purged.Add(1)
		time.Sleep(5 * time.Millisecond)
	}
}

// terminate ends a process politely.
func terminate(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the edge ended with %v", err)
	}
}

// Another process takes over, started by hand.
func TestUpgradeByASecondProcess(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	cmd := n.start()
	c := n.load()
	for i := range rounds() {
		next := n.start("--upgrade")
		n.await("took over", i+1)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the edge that was replaced ended with %v", err)
		}
		cmd = next
	}
	c.end(t)
	terminate(t, cmd)
}

// The process starts its successor itself. The next signal comes while the one before drains.
func TestUpgradeBySignal(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	cmd := n.start()
	c := n.load()
	pid := cmd.Process.Pid
	for i := range rounds() {
		if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		n.await("took over", i+1)
		pid = int(n.lines("upgrading")[i]["pid"].(float64))
		time.Sleep(200 * time.Millisecond)
	}
	c.end(t)
	syscall.Kill(pid, syscall.SIGTERM)
	n.await("stopping", rounds()+1)
}

// A service manager holds the sockets, and restarts the process.
func TestRestartWithSocketsOfAServiceManager(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, addr := range []string{n.plain, n.secure, n.admin} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		t.Cleanup(func() { f.Close() })
		n.sockets = append(n.sockets, f)
	}
	cmd := n.start()
	c := n.load()
	for range rounds() {
		time.Sleep(200 * time.Millisecond)
		terminate(t, cmd)
		cmd = n.start()
	}
	c.end(t)
	terminate(t, cmd)
}

func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	cmd := n.start()
	text, err := os.ReadFile(n.config)
	if err != nil {
		t.Fatal(err)
	}
	c := n.load()
	for i := range rounds() {
		edgetest.WriteFile(t, n.config, fmt.Sprintf("%slimits: { rate: %d }\n", text, 1_000_000+i))
		cmd.Process.Signal(syscall.SIGHUP)
		n.await("reloaded", i+1)
		time.Sleep(200 * time.Millisecond)
	}
	c.end(t)
	terminate(t, cmd)
}

// A successor that cannot start leaves the running edge as it is.
func TestUpgradeThatFails(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	cmd := n.start()
	c := n.load()
	for name, text := range map[string]string{"no configuration": "listen: 7\n", "an address that is taken": "listen: " + n.plain + "\nadmin: { listen: " + n.secure + "0 }\n"} {
		config := filepath.Join(t.TempDir(), "config.yaml")
		edgetest.WriteFile(t, config, text+"cache: { dir: "+filepath.Dir(n.log)+"/cache }\n")
		if out, err := exec.Command(n.program, "serve", "--upgrade", "--config", config).CombinedOutput(); err == nil {
			t.Errorf("%s: it runs:\n%s", name, out)
		}
	}
	time.Sleep(200 * time.Millisecond)
	c.end(t)
	terminate(t, cmd)
}
