package tls

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
)

// The first handshake that asks for a name of the list has its certificate obtained; no other
// name has, and a restart needs neither the client nor the CA.
func TestOnDemandByTheListAlone(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	addr := l.Addr().String()
	c := startCA(t, l.Addr(), 90*day)
	dir := t.TempDir()
	names := []string{"a.edge.example", "b.edge.example"}
	onDemand := func(cfg *Config) { cfg.OnDemand = names }
	m := startWith(t, c, dir, l, newWatch(), onDemand)
	stop := serve(t, l, m)
	for _, name := range []string{"other.example", "x.a.edge.example", "edge.example"} {
		_, err := handshake(addr, name, nil)
		if alert, refused := errors.AsType[*net.OpError](err); !refused || alert.Op != "remote error" {
			t.Errorf("a handshake for %s ends with %v; want a refusal of the server", name, err)
		}
		if _, first := m.domain.demands.of(name); !first {
			t.Errorf("a certificate for %s is asked for", name)
		}
	}
	if got := m.Status(); len(got) > 0 || strings.Contains(c.output.String(), "new-order") {
		t.Errorf("before anybody asks for a name: %+v", got)
	}
	first, err := serial(c, addr, names[0])
	if err != nil {
		t.Fatalf("the first handshake: %v", err)
	}
	if got := m.Status(); len(got) != 1 || got[0].Name != names[0] || got[0].NotAfter.IsZero() {
		t.Errorf("status: %+v", got)
	}
	stop()
	m.Close()
	c.stop()

	l = listen(t, addr)
	log := newWatch()
	m = startWith(t, c, dir, l, log, onDemand)
	serve(t, l, m)
	log.until(t, func() error {
		n, err := serial(c, addr, names[0])
		if err == nil && n.Cmp(first) != 0 {
			err = errors.New("another certificate")
		}
		return err
	})
	if !slices.Equal(m.domain.stored(), names[:1]) {
		t.Errorf("stored: %v", m.domain.stored())
	}
}
