package tls

import (
	cryptotls "crypto/tls"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// start returns a Manager that runs, for domains whose certificates are kept in
// dir and whose listener is l.
func start(t *testing.T, c *ca, dir string, l net.Listener, log *watch, domains ...string) *Manager {
	t.Helper()
	return startWith(t, c, dir, l, log, func(cfg *Config) { cfg.Domains = domains })
}

func startWith(t *testing.T, c *ca, dir string, l net.Listener, log *watch, change func(*Config)) *Manager {
	t.Helper()
	cfg := Config{
		Email:        "operator@edge.example",
		CA:           c.directory,
		Dir:          dir,
		Listen:       l.Addr().String(),
		TrustedRoots: c.web,
		Logger:       log.logger(),
	}
	change(&cfg)
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

// serial is the certificate that addr shows for name, trusted as one of c's.
func serial(c *ca, addr, name string) (*big.Int, error) {
	got, err := handshake(addr, name, c.issued)
	if err != nil {
		return nil, err
	}
	leaf := got.PeerCertificates[0]
	if !slices.Equal(leaf.DNSNames, []string{name}) {
		return nil, errors.New("shown the certificate of " + leaf.DNSNames[0])
	}
	return leaf.SerialNumber, nil
}

func TestDomainsGetCertificatesAndARestartNeedsNoCA(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	addr := l.Addr().String()
	c := startCA(t, l.Addr(), 90*24*time.Hour)
	dir, log := filepath.Join(t.TempDir(), "certificates"), newWatch()
	domains := []string{"a.edge.example", "b.edge.example"}
	m := start(t, c, dir, l, log, domains...)
	stop := serve(t, l, m)

	var first []*big.Int
	for _, name := range domains {
		log.until(t, func() error {
			n, err := serial(c, addr, name)
			if err == nil {
				first = append(first, n)
			}
			return err
		})
	}
	if first[0].Cmp(first[1]) == 0 {
		t.Error("both domains are shown one certificate")
	}

	got, err := handshake(addr, "", nil)
	if err != nil || got.PeerCertificates[0].DNSNames[0] != domains[0] {
		t.Errorf("without a name: %v, %v, want the certificate of the first domain", got.PeerCertificates, err)
	}
	if _, err := handshake(addr, "other.example", nil); err == nil {
		t.Error("a name that is not ours was answered")
	}
	if got := getOverTLS(t, c, addr, domains[1]); got != "HTTP/2.0 hello" {
		t.Errorf("GET = %q, want %q", got, "HTTP/2.0 hello")
	}

	files := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, open to others", path, info.Mode())
		}
		files++
		return err
	})
	if err != nil || files < 6 {
		t.Errorf("%d files in the directory, %v", files, err)
	}

	stop()
	m.Close()
	c.stop()
	l = listen(t, addr)
	log = newWatch()
	m = start(t, c, dir, l, log, domains...)
	serve(t, l, m)
	for i, name := range domains {
		log.until(t, func() error {
			n, err := serial(c, addr, name)
			if err == nil && n.Cmp(first[i]) != 0 {
				t.Fatalf("%s: certificate %v, want the %v obtained before", name, n, first[i])
			}
			return err
		})
	}
}

func getOverTLS(t *testing.T, c *ca, addr, name string) string {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig:   &cryptotls.Config{RootCAs: c.issued, ServerName: name},
		ForceAttemptHTTP2: true,
	}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Proto + " " + string(body)
}

// A certificate that ends before the next look at it, ten minutes later, is
// renewed at the first.
func TestCertificatesThatEndSoonAreRenewed(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	addr := l.Addr().String()
	c := startCA(t, l.Addr(), 9*time.Minute)
	const name = "edge.example"
	dir, log := t.TempDir(), newWatch()
	m := start(t, c, dir, l, log, name)
	stop := serve(t, l, m)
	var first *big.Int
	log.until(t, func() (err error) {
		first, err = serial(c, addr, name)
		return err
	})
	stop()
	m.Close()

	l = listen(t, addr)
	log = newWatch()
	m = start(t, c, dir, l, log, name)
	serve(t, l, m)
	log.until(t, func() error {
		n, err := serial(c, addr, name)
		if err == nil && n.Cmp(first) == 0 {
			return errors.New("the first certificate is shown still")
		}
		return err
	})
}

func TestWithTheCADownTheListenerOpensAndTheFailureIsLogged(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	log := newWatch()
	c := &ca{directory: "https://" + freeAddr(t) + "/dir"}
	m := start(t, c, t.TempDir(), l, log, "edge.example")
	serve(t, l, m)
	<-log.failed
	if _, err := handshake(l.Addr().String(), "edge.example", nil); err == nil {
		t.Error("a handshake succeeded without a certificate")
	} else if _, refused := errors.AsType[*net.OpError](err); !refused {
		t.Errorf("%v, want an alert from the listener", err)
	}
}
