package tls

import (
	"bytes"
	cryptotls "crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// ca is a pebble, a real ACME server, that runs as a process of its own and
// validates any domain by connecting to a port of 127.0.0.1.
type ca struct {
	directory string         // URL
	manage    string         // URL of the management API
	web       *x509.CertPool // trusts its API
	issued    *x509.CertPool // trusts its certificates
	stop      func()
	output    *lines
}

// startCA starts a pebble whose certificates are valid for so long, and which proves names
// by TLS-ALPN-01 at an address. It skips the test where pebble cannot be built.
func startCA(t *testing.T, validate net.Addr, valid time.Duration) *ca {
	t.Helper()
	return startCAWith(t, validate.(*net.TCPAddr).Port, 1, map[string]time.Duration{"default": valid})
}

// startCAWith is startCA with a port for each challenge, and several profiles, of which
// pebble takes any where none is asked for. Nothing answers at port 1.
func startCAWith(t *testing.T, tlsPort, httpPort int, valid map[string]time.Duration) *ca {
	t.Helper()
	profiles := make(map[string]any)
	for name, life := range valid {
		profiles[name] = map[string]any{"description": "for tests", "validityPeriod": int(life.Seconds())}
	}
	program := pebble(t)
	dir := t.TempDir()
	web := writePair(t, dir, "ca.example")
	api, management := freeAddr(t), freeAddr(t)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress":           api,
		"managementListenAddress": management,
		"certificate":             web.Cert,
		"privateKey":              web.Key,
		"httpPort":                httpPort,
		"tlsPort":                 tlsPort,
		"keyAlgorithm":            "ecdsa",
		"retryAfter":              map[string]int{"authz": 1, "order": 1}, // seconds
		"profiles":                profiles,
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	write(t, file, config)

	output := new(lines)
	cmd := exec.Command(program, "-config", file, "-dnsserver", startDNS(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("pebble said:\n%s", output.String())
		}
	})
	t.Cleanup(stop)

	c := &ca{directory: "https://" + api + "/dir", manage: "https://" + management, web: poolOf(t, web.Cert), stop: stop, output: output}
	c.fetch(t, c.directory) // so it is up
	c.issued = x509.NewCertPool()
	if !c.issued.AppendCertsFromPEM(c.fetch(t, c.manage+"/roots/0")) {
		t.Fatal("pebble gave no root certificate")
	}
	return c
}

// fetch gets url, trying again until pebble listens.
func (c *ca) fetch(t *testing.T, url string) []byte {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &cryptotls.Config{RootCAs: c.web}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	var err error
	for range 1000 {
		var resp *http.Response
		if resp, err = client.Get(url); err == nil {
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("GET %s: %s, %v", url, resp.Status, err)
			}
			return body
		}
		<-again.C
	}
	t.Fatalf("pebble does not answer: %v", err)
	return nil
}

// pebble returns the file of the program, built from tools/go.mod.
func pebble(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the ACME tests need a pebble; -short leaves them out")
	}
	var complaint bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "-C", "../tools", "tool", "-n", "pebble")
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("the ACME tests need a pebble, which cannot be built here: %v\n%s", err, complaint.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// freeAddr is an address of 127.0.0.1 where nothing listened a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	defer l.Close()
	return l.Addr().String()
}

// startDNS answers, for the length of the test, that every name is 127.0.0.1. It
// speaks DNS over TCP (RFC 1035 §4.2.2), as pebble does.
func startDNS(t *testing.T) (addr string) {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			answer(conn)
		}
	}()
	return l.Addr().String()
}

// answer answers one question.
func answer(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return
	}
	question := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, question); err != nil {
		return
	}
	if reply, err := resolve(question); err == nil {
		conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	}
}

func resolve(question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	if len(m.Questions) != 1 {
		return nil, fmt.Errorf("%d questions", len(m.Questions))
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	if q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	return m.Pack()
}

// lines is a buffer that a process may write to while it is read.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
