package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet"
	"pkgedge/edge/fleet/natstest"
)

// An edge of a fleet shows the certificate that another one has, and goes on with its TLS sessions.
func TestEdgesOfOneSeal(t *testing.T) {
	t.Parallel()
	const name, ca = "a.example", "https://127.0.0.1:1/directory"
	servers := natstest.Start(t, 1)
	if _, err := fleet.Init(t.Context(), &config.Fleet{Name: "init", NATS: servers.URLs()}, 1); err != nil {
		t.Fatal(err)
	}
	crt, key := edgetest.MakePairOf(t, t.TempDir(), "pair", func(c *x509.Certificate) {
		c.DNSNames, c.NotBefore, c.NotAfter = []string{name}, time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour)
	})
	start := func(edge, dir string) (address string) {
		cfg := configured(t, plainSite("http://127.0.0.1:1", "")+fmt.Sprintf(`
tls: { listen: '127.0.0.1:0', domains: [%s], email: a@a.example, ca: %q }
fleet: { name: %s, nats: [%q], seal: %s }
`, name, ca, edge, servers.URLs()[0], strings.Repeat("s", 32)))
		cfg.Cache.Memory, cfg.Cache.Dir = 1<<20, dir
		e := newTestDaemon(t, cfg, edgetest.QuietLog())
		e.openTestCache(t)
		l, err := e.listenTLS(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.serve())
		return l.Addr().String()
	}
	sessions := tls.NewLRUClientSessionCache(1)
	shakes := func(address string, sessions tls.ClientSessionCache) (resumed bool, err error) {
		c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, ServerName: name, ClientSessionCache: sessions, NextProtos: []string{"http/1.1"}})
		if err != nil {
			return false, err
		}
		defer c.Close()
		if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: " + name + "\r\n\r\n")); err != nil {
			return false, err
		}
		_, err = c.Read(make([]byte, 1)) // the ticket is before it
		return c.ConnectionState().DidResume, err
	}

	first := t.TempDir()
	at := filepath.Join(first, "certificates", filepath.FromSlash(certmagic.StorageKeys.CertsSitePrefix((&certmagic.ACMEIssuer{CA: ca}).IssuerKey(), name)), name)
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{crt: ".crt", key: ".key"} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		edgetest.WriteFile(t, at+to, string(text))
	}
	edgetest.WriteFile(t, at+".json", fmt.Sprintf(`{"sans": [%q]}`, name))

	for _, edge := range []struct{ name, address string }{{"a", start("a", first)}, {"b", start("b", t.TempDir())}} {
		edgetest.Until(t, "the certificate at edge "+edge.name, func() bool {
			_, err := shakes(edge.address, nil) // a session that is resumed needs none
			return err == nil
		})
		if resumed, err := shakes(edge.address, sessions); err != nil || resumed != (edge.name == "b") {
			t.Errorf("the session at edge %s is resumed: %t, %v", edge.name, resumed, err)
		}
	}
}
