package tls

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	cryptotls "crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// certmagic keeps one limiter per CA and account for the process's
		// life, and notices up to five seconds later that a lock was released.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
	)
}

// writePair writes a self-signed pair for name and 127.0.0.1 to files in dir.
func writePair(t *testing.T, dir, name string, changes ...func(*x509.Certificate)) Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		DNSNames:     []string{name},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	for _, change := range changes {
		change(template)
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := Certificate{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
	write(t, files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	write(t, files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	return files
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// poolOf trusts the certificate in file.
func poolOf(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		t.Fatalf("no certificate in %s", file)
	}
	return pool
}

// serve answers "hello" on l, as the edge would, until the test or the returned
// function ends it.
func serve(t *testing.T, l net.Listener, m *Manager) (stop func()) {
	t.Helper()
	srv := &http.Server{
		TLSConfig: m.TLSConfig(),
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }),
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // refused handshakes
	}
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(l, "", "") }()
	stop = sync.OnceFunc(func() {
		srv.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Errorf("the server ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// handshake connects to addr, asks for name, and returns the connection's state. A nil
// pool trusts any certificate.
func handshake(addr, name string, pool *x509.CertPool, protos ...string) (cryptotls.ConnectionState, error) {
	d := cryptotls.Dialer{Config: &cryptotls.Config{
		ServerName:         name,
		RootCAs:            pool,
		InsecureSkipVerify: pool == nil,
		NextProtos:         protos,
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return cryptotls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.(*cryptotls.Conn).ConnectionState(), nil
}

// watch is a log that signals each write.
type watch struct {
	slog.Handler
	written chan struct{} // has an element after a write since the last receive
	failed  chan string   // the first few errors
}

func newWatch() *watch {
	return &watch{
		Handler: slog.DiscardHandler,
		written: make(chan struct{}, 1),
		failed:  make(chan string, 16),
	}
}

func (w *watch) logger() *slog.Logger                     { return slog.New(w) }
func (w *watch) Enabled(context.Context, slog.Level) bool { return true }
func (w *watch) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w *watch) WithGroup(string) slog.Handler            { return w }
func (w *watch) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		text := r.Message
		r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
		select {
		case w.failed <- text:
		default:
		}
	}
	select {
	case w.written <- struct{}{}:
	default:
	}
	return nil
}

// until calls try after each write to the log, until it succeeds. An error in the log ends
// the test.
func (w *watch) until(t *testing.T, try func() error) {
	t.Helper()
	w.wait(t, func(failure string) { t.Fatalf("gave up: %s", failure) }, try)
}

// eventually is until for a test in which errors are logged on the way.
func (w *watch) eventually(t *testing.T, try func() error) {
	t.Helper()
	w.wait(t, func(string) {}, try)
}

func (w *watch) wait(t *testing.T, failed func(string), try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond) // the last line may come before the deed that it tells
	defer again.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-w.written:
		case failure := <-w.failed:
			failed(failure)
		case <-ctx.Done():
			t.Fatalf("still %v", err)
		}
	}
}
