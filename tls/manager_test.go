package tls

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	a, b := writePair(t, dir, "a.example"), writePair(t, dir, "b.example")
	now := time.Now()
	expired := writePair(t, dir, "expired.example", func(c *x509.Certificate) {
		c.NotAfter = now.Add(-49 * time.Hour)
		c.NotBefore = now.Add(-99 * time.Hour)
	})
	early := writePair(t, dir, "early.example", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) })
	domains := func(change func(*Config)) Config {
		c := Config{Domains: []string{"edge.example"}, Dir: dir, Listen: "127.0.0.1:8443"}
		change(&c)
		return c
	}
	for _, c := range []struct {
		name string
		cfg  Config
		says []string
	}{
		{"nothing", Config{}, []string{"neither"}},
		{"both sources", Config{Certificate: a, Domains: []string{"a.example"}}, []string{"exclude each other"}},
		{"a certificate without its key", Config{Certificate: Certificate{Cert: a.Cert}}, []string{"both"}},
		{"a key without its certificate", Config{Certificate: Certificate{Key: a.Key}}, []string{"both"}},
		{"the key of another", Config{Certificate: Certificate{Cert: a.Cert, Key: b.Key}}, []string{"a.example.crt", "b.example.key", "does not match"}},
		{"a missing file", Config{Certificate: Certificate{Cert: a.Cert, Key: filepath.Join(dir, "none")}}, []string{"no such file"}},
		{"a key as the certificate", Config{Certificate: Certificate{Cert: a.Key, Key: a.Key}}, []string{"cannot load certificate"}},
		{"an expired pair", Config{Certificate: expired}, []string{"expired.example.crt\" expired on ", "2 days ago: put a renewed certificate there"}},
		{"a pair of tomorrow", Config{Certificate: early}, []string{"early.example.crt\" is not valid before ", "clock"}},
		{"a pair for another name", Config{Certificate: a, Names: []string{"a.example", "c.example"}}, []string{"a.example.crt\" is for a.example, 127.0.0.1, and not for c.example,"}},
		{"an expired pair for another name", Config{Certificate: expired, Names: []string{"c.example"}}, []string{"expired on", "; it is for expired.example"}},
		{"no directory", domains(func(c *Config) { c.Dir = "" }), []string{"directory"}},
		{"a wildcard", domains(func(c *Config) { c.Domains = []string{"*.example"} }), []string{"wildcard"}},
		{"an address", domains(func(c *Config) { c.Domains = []string{"192.0.2.1"} }), []string{"list names"}},
		{"an empty domain", domains(func(c *Config) { c.Domains = []string{""} }), []string{"not a host name"}},
		{"a domain with a port", domains(func(c *Config) { c.Domains = []string{"edge.example:443"} }), []string{"not a host name"}},
		{"a URL for a domain", domains(func(c *Config) { c.Domains = []string{"https://edge.example"} }), []string{"not a host name"}},
		{"a CA without https", domains(func(c *Config) { c.CA = "http://ca.example/dir" }), []string{"https"}},
		{"a CA that is no URL", domains(func(c *Config) { c.CA = "ca.example" }), []string{"https"}},
		{"no listener", domains(func(c *Config) { c.Listen = "" }), []string{"TLS listener"}},
		{"any port", domains(func(c *Config) { c.Listen = "127.0.0.1:0" }), []string{"fixed"}},
		{"all mistakes at once", Config{Domains: []string{"*.a", "b:1"}, CA: "x"}, []string{`"*.a"`, `"b:1"`, "directory", `ca "x"`, "TLS listener"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Logger = slog.New(slog.DiscardHandler)
			m, err := New(c.cfg)
			if err == nil {
				m.Close()
				t.Fatal("no error")
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

func TestStaticPairIsServedForEveryName(t *testing.T) {
	files := writePair(t, t.TempDir(), "edge.example")
	m, err := New(Config{Certificate: files, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := listen(t, "127.0.0.1:0")
	serve(t, l, m)

	if _, err := handshake(l.Addr().String(), "edge.example", poolOf(t, files.Cert)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "other.example"} {
		got, err := handshake(l.Addr().String(), name, nil)
		if err != nil {
			t.Errorf("%q: %v", name, err)
		} else if names := got.PeerCertificates[0].DNSNames; !slices.Equal(names, []string{"edge.example"}) {
			t.Errorf("%q: got the certificate of %q", name, names)
		}
	}
}

func TestProtocolsOfTheListener(t *testing.T) {
	m, err := New(Config{Certificate: writePair(t, t.TempDir(), "edge.example")})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t, "127.0.0.1:0")
	serve(t, l, m)

	for _, c := range []struct {
		offered []string
		want    string
	}{
		{[]string{"h2", "http/1.1"}, "h2"},
		{[]string{"http/1.1"}, "http/1.1"},
		{nil, ""},
	} {
		got, err := handshake(l.Addr().String(), "edge.example", nil, c.offered...)
		if err != nil || got.NegotiatedProtocol != c.want {
			t.Errorf("offered %q: got %q, %v, want %q", c.offered, got.NegotiatedProtocol, err, c.want)
		}
	}

	_, err = cryptotls.Dial("tcp", l.Addr().String(), &cryptotls.Config{
		InsecureSkipVerify: true,
		MinVersion:         cryptotls.VersionTLS10,
		MaxVersion:         cryptotls.VersionTLS11,
	})
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v, want a refusal of the version", err)
	}
}

func TestReloadTakesTheNewPairAndKeepsTheOldWhenThatFails(t *testing.T) {
	dir := t.TempDir()
	files := writePair(t, dir, "old.example")
	m, err := New(Config{Certificate: files, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t, "127.0.0.1:0")
	serve(t, l, m)
	served := func() string {
		t.Helper()
		got, err := handshake(l.Addr().String(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		return got.PeerCertificates[0].DNSNames[0]
	}
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}

	next := writePair(t, dir, "new.example")
	rename(next.Cert, files.Cert) // and not yet its key
	if _, err := m.Reload(files, nil); err == nil {
		t.Error("reloading half a change gave no error")
	}
	if got := served(); got != "old.example" {
		t.Errorf("after a failed reload %q is served, want the old pair", got)
	}

	rename(next.Key, files.Key)
	for _, want := range []bool{true, false} { // the second time it is known
		if renewed, err := m.Reload(files, nil); err != nil || renewed != want {
			t.Errorf("reloaded: %v, %v; want %v", renewed, err, want)
		}
	}
	if got := served(); got != "new.example" {
		t.Errorf("after the reload %q is served, want the new pair", got)
	}
	if renewed, err := m.Reload(writePair(t, t.TempDir(), "moved.example"), nil); err != nil || !renewed {
		t.Errorf("reloaded from other files: %v, %v", renewed, err)
	}
	if got := served(); got != "moved.example" {
		t.Errorf("after a reload from other files %q is served", got)
	}
}

// A pair that has expired while it was shown does not stand in the way of a reload, and
// another one that has expired does.
func TestReloadJudgesOnlyANewPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		files := writePair(t, dir, "edge.example") // for an hour
		m, err := New(Config{Certificate: files, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if _, err := m.Reload(files, []string{"edge.example"}); err != nil {
			t.Error(err)
		}
		if _, err := m.Reload(files, []string{"other.example"}); err == nil || !strings.Contains(err.Error(), "not for other.example") {
			t.Errorf("for another name: %v", err)
		}
		old := writePair(t, dir, "old.example", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
		if _, err := m.Reload(old, nil); err == nil || !strings.Contains(err.Error(), "expired") {
			t.Errorf("a new pair that has expired: %v", err)
		}
		if got := m.Status()[0].Name; got != "edge.example" {
			t.Errorf("%s is shown", got)
		}
	})
}
