package tls

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

// sharing is a storage of several edges, which may be away.
type sharing struct {
	certmagic.FileStorage
	away atomic.Bool
}

var errAway = errors.New("the servers are away")

func (s *sharing) Load(ctx context.Context, key string) ([]byte, error) {
	if s.away.Load() {
		return nil, errAway
	}
	return s.FileStorage.Load(ctx, key)
}

func (s *sharing) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	if s.away.Load() {
		return certmagic.KeyInfo{}, errAway
	}
	return s.FileStorage.Stat(ctx, key)
}

func (s *sharing) Store(ctx context.Context, key string, value []byte) error {
	if s.away.Load() {
		return errAway
	}
	return s.FileStorage.Store(ctx, key, value)
}

// Edges that share have one certificate, obtained once. An edge that has a copy starts and
// answers without the storage, and one without waits for it, not for the CA.
func TestEdgesShareACertificate(t *testing.T) {
	addr := freeAddr(t)
	l := listen(t, addr)
	c := startCA(t, l.Addr(), time.Hour)
	l.Close()
	const name = "edge.example"
	alone := t.TempDir()
	first := obtain(t, c, addr, alone, name, unchanged) // by an edge that was alone until now
	c.stop()

	all := &sharing{FileStorage: certmagic.FileStorage{Path: t.TempDir()}}
	log := newWatch()
	edge := func(dir string) (*Manager, net.Addr) {
		l := listen(t, "127.0.0.1:0")
		m := startWith(t, c, dir, l, log, func(cfg *Config) { cfg.Domains, cfg.Shared, cfg.again = []string{name}, all, time.Millisecond })
		t.Cleanup(serve(t, l, m))
		return m, l.Addr()
	}
	shows := func(addr net.Addr) error {
		n, err := serial(c, addr.String(), name)
		if err == nil && n.Cmp(first) != 0 {
			err = errors.New("another certificate")
		}
		return err
	}

	_, at := edge(alone)
	log.eventually(t, func() error { return shows(at) }) // the edge that obtained it
	log.eventually(t, func() error {                     // a certificate of one edge is there for all
		_, err := all.Stat(t.Context(), certmagic.StorageKeys.SiteCert(issuerOf(c), name))
		return err
	})
	copied := t.TempDir()
	m, at := edge(copied)
	log.eventually(t, func() error { return shows(at) })
	m.Close()

	all.away.Store(true)
	_, at = edge(copied)
	log.eventually(t, func() error { return shows(at) }) // an edge that has a copy
	m, at = edge(t.TempDir())
	log.eventually(t, func() error {
		if s := m.Status()[0]; s.Failed.IsZero() || s.Why == "" {
			return errors.New("the status tells of no failure")
		}
		return nil
	})
	if shows(at) == nil {
		t.Fatal("an edge without a copy shows one, with the storage away")
	}
	all.away.Store(false)
	log.eventually(t, func() error { return shows(at) })
	log.eventually(t, func() error {
		if s := m.Status()[0]; !s.Failed.IsZero() || s.NotAfter.IsZero() {
			return errors.New("the status still tells of a failure")
		}
		return nil
	})
}

// A name on demand that the storage could not be asked for comes as soon as it can.
func TestANameOnDemandOutlivesAStorageThatIsAway(t *testing.T) {
	addr := freeAddr(t)
	l := listen(t, addr)
	c := startCA(t, l.Addr(), time.Hour)
	l.Close()
	const name = "edge.example"
	all := &sharing{FileStorage: certmagic.FileStorage{Path: t.TempDir()}}
	first := obtain(t, c, addr, t.TempDir(), name, func(cfg *Config) { cfg.Shared = all })
	c.stop()

	l, log := listen(t, "127.0.0.1:0"), newWatch()
	m := startWith(t, c, t.TempDir(), l, log, func(cfg *Config) { cfg.OnDemand, cfg.Shared, cfg.again = []string{name}, all, time.Millisecond })
	t.Cleanup(serve(t, l, m))
	all.away.Store(true)
	shown := func() error { _, err := serial(c, l.Addr().String(), name); return err }
	asked := make(chan error, 1)
	go func() { asked <- shown() }()
	log.eventually(t, func() error {
		if s := m.Status(); len(s) == 0 || s[0].Failed.IsZero() {
			return errors.New("the status tells of no failure")
		}
		return nil
	})
	all.away.Store(false)
	log.eventually(t, shown)
	<-asked // it may have waited, or not
	if n, err := serial(c, l.Addr().String(), name); err != nil || n.Cmp(first) != 0 {
		t.Errorf("%v, %v; want the certificate of all edges", n, err)
	}
}

// A storage is not given a certificate without its key, and keeps the certificate that it has.
func TestAnEdgeSharesNoHalves(t *testing.T) {
	dir, all := t.TempDir(), &sharing{FileStorage: certmagic.FileStorage{Path: t.TempDir()}}
	m, err := New(Config{Domains: []string{"edge.example"}, Dir: dir, Shared: all, Listen: "127.0.0.1:443", Logger: newWatch().logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	d, keys := m.domain, certmagic.StorageKeys
	issuer := d.issuer.IssuerKey()
	crt, key, meta := keys.SiteCert(issuer, "edge.example"), keys.SitePrivateKey(issuer, "edge.example"), keys.SiteMeta(issuer, "edge.example")
	put := func(s certmagic.Storage, key, value string) {
		t.Helper()
		if err := s.Store(t.Context(), key, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	share := func() {
		t.Helper()
		if err := d.share(t.Context(), "edge.example"); err != nil {
			t.Error(err)
		}
	}
	put(d.local, crt, "ours")
	put(d.local, meta, "ours")
	share()
	if _, err := all.Stat(t.Context(), crt); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was shared without a key: %v", err)
	}
	put(all, crt, "theirs")
	put(d.local, key, "ours")
	share()
	if b, err := all.Load(t.Context(), crt); err != nil || string(b) != "theirs" {
		t.Errorf("%q, %v", b, err)
	}
}

// issuerOf is the part of keys that stands for a CA.
func issuerOf(c *ca) string { return (&certmagic.ACMEIssuer{CA: c.directory}).IssuerKey() }
