package fleet

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"pkgedge/cache/purge"
	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet/natstest"
	"pkgedge/edge/fleet/purgelog"
	edgetls "pkgedge/tls"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tick = 50 * time.Millisecond

// open opens the fleet of an edge, whose doubts come to stale.
func open(t *testing.T, cfg *config.Fleet, dir string) (f *Fleet, stale chan bool) {
	t.Helper()
	stale = make(chan bool, 64)
	f, err := Open(cfg, Deps{
		Dir: dir, Log: edgetest.QuietLog(), Apply: func([]purgelog.Entry) error { return nil },
		Stale: func(metadata bool) error { stale <- metadata; return nil },
		Tick:  tick, Lease: time.Second, Alone: 4 * tick, CatchUp: tick,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Start()
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f, stale
}

func TestAnEdgeAloneHasNoFleet(t *testing.T) {
	f, err := Open(&config.Fleet{}, Deps{})
	if f != nil || err != nil {
		t.Fatal(f, err)
	}
	f.Start()
	f.CatchUp(t.Context())
	if f.Live() || f.Status() != nil || f.Announce() != nil || f.Close() != nil || f.Certificates() != nil || f.Members() != nil {
		t.Error("it does something")
	}
}

// Edges of one seal keep certificates together, those without one keep none.
func TestCertificatesOfAFleet(t *testing.T) {
	c := natstest.Start(t, 1)
	cfg := config.Fleet{Name: "a", NATS: c.URLs(), Seal: strings.Repeat("s", 32)}
	if made, err := Init(t.Context(), &cfg, 1); err != nil || !made.NewCertificates || made.Certificates == "" {
		t.Fatal(made, err)
	}
	a, _ := open(t, &cfg, t.TempDir())
	other := cfg
	other.Name = "b"
	b, _ := open(t, &other, t.TempDir())
	const key = "certificates/ca/a.example/a.example.crt"
	if err := a.Certificates().Store(t.Context(), key, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Certificates().Load(t.Context(), key); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	other.Name, other.Seal = "c", ""
	if d, _ := open(t, &other, t.TempDir()); d.Certificates() != nil {
		t.Error("an edge without a seal shares certificates")
	}
}

// Servers that do not answer hold nobody up, neither the start nor the end.
func TestServersThatDoNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, _ := open(t, &config.Fleet{Name: "a", NATS: []string{"nats://" + l.Addr().String()}}, t.TempDir())
	f.CatchUp(t.Context())
	if err := f.Announce(purgelog.Entry{Purge: purge.Purge{Scope: purge.All}}); err != nil {
		t.Error(err)
	}
	if s := f.Status(); s.Live || s.Outbox != 1 || s.Server != "" {
		t.Errorf("%+v", s)
	}
}

// An edge that starts has the purges of the meantime in force before it goes on, also where the
// servers take their time.
func TestAnEdgeThatStartsCatchesUp(t *testing.T) {
	c := natstest.Start(t, 1)
	cfg := &config.Fleet{Name: "a", NATS: c.URLs()}
	if _, err := Init(t.Context(), cfg, 1); err != nil {
		t.Fatal(err)
	}
	slow, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked, answer := make(chan struct{}), make(chan struct{})
	var passing sync.WaitGroup
	passing.Go(func() {
		from, err := slow.Accept()
		if err != nil {
			return
		}
		asked <- struct{}{}
		<-answer
		to, err := net.Dial("tcp", strings.TrimPrefix(c.URLs()[0], "nats://"))
		if err != nil {
			t.Error(err)
			return
		}
		passing.Go(func() { _, _ = io.Copy(to, from); to.Close() })
		_, _ = io.Copy(from, to)
		from.Close()
	})
	defer passing.Wait()
	defer slow.Close()
	f, err := Open(&config.Fleet{Name: "a", NATS: []string{"nats://" + slow.Addr().String()}}, Deps{
		Dir: t.TempDir(), Log: edgetest.QuietLog(), Tick: tick, CatchUp: edgetest.Patience,
		Stale: func(bool) error { return nil }, Apply: func([]purgelog.Entry) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Start()
	defer f.Close()
	edgetest.Receive(t, asked, "the connection")
	close(answer)
	f.CatchUp(t.Context())
	if !f.Live() {
		t.Error("the log is not live")
	}
}

// An edge shows its certificate and a password, and tells nobody of the latter.
func TestServersThatKnowTheirEdges(t *testing.T) {
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	roots, err := edgetls.Roots(cert)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	c := natstest.Start(t, 1, func(o *server.Options) {
		o.TLS, o.TLSConfig = true, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots}
		o.Username, o.Password = "edge", "hunter2"
	})
	host := strings.TrimPrefix(c.URLs()[0], "nats://")
	with := config.FleetTLS{Cert: cert, Key: key, CA: cert}
	for _, bad := range []config.Fleet{
		{Name: "a", NATS: []string{"tls://edge:hunter2@" + host}, TLS: config.FleetTLS{CA: cert}},
		{Name: "a", NATS: []string{"tls://edge:hunter2@" + host}, TLS: config.FleetTLS{Cert: cert, Key: key}},
		{Name: "a", NATS: []string{"tls://edge:hunter3@" + host}, TLS: with},
	} {
		if _, err := Init(t.Context(), &bad, 1); err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%+v: %v", bad.TLS, err)
		}
	}
	cfg := &config.Fleet{Name: "a", NATS: []string{"tls://edge:hunter2@" + host}, TLS: with}
	if _, err := Init(t.Context(), cfg, 1); err != nil {
		t.Fatal(err)
	}
	f, _ := open(t, cfg, t.TempDir())
	edgetest.Until(t, "a live log", f.Live)
	if s := f.Status(); s.Server != host {
		t.Errorf("%+v", s)
	}
}

// A stream of that name that somebody else has made is left alone, by init and by edges.
func TestAStreamOfAnother(t *testing.T) {
	c := natstest.Start(t, 1)
	_, js := c.Connect()
	theirs, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: purgelog.Stream, Subjects: []string{"theirs.>"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Fleet{Name: "a", NATS: c.URLs()}
	if _, err := Init(t.Context(), cfg, 1); err == nil || !strings.Contains(err.Error(), "was not made by edge fleet init") {
		t.Error(err)
	}
	f, _ := open(t, cfg, t.TempDir())
	edgetest.Until(t, "the reason", func() bool { return strings.Contains(f.Status().Why, "was not made by edge fleet init") })
	if f.Live() {
		t.Error("it is live")
	}
	if info, err := theirs.Info(t.Context()); err != nil || !slices.Equal(info.Config.Subjects, []string{"theirs.>"}) || info.State.Msgs != 0 {
		t.Errorf("%+v, %v", info, err)
	}
}

// After so long without the log all is in doubt, and again after as long.
func TestUnheard(t *testing.T) {
	_, stale := open(t, &config.Fleet{Name: "a", NATS: []string{"nats://127.0.0.1:1"}, Unheard: 2 * tick}, t.TempDir())
	for range 2 {
		if metadata := edgetest.Receive(t, stale, "doubt"); metadata {
			t.Error("only metadata is in doubt")
		}
	}
}

// The time for which an edge was off counts.
func TestUnheardWhileOff(t *testing.T) {
	dir := t.TempDir()
	edgetest.WriteFile(t, filepath.Join(dir, "fleet-place.json"), fmt.Sprintf(`{"log":"x","seq":7,"at":%q}`, time.Now().Add(-time.Hour).Format(time.RFC3339)))
	_, stale := open(t, &config.Fleet{Name: "a", NATS: []string{"nats://127.0.0.1:1"}, Unheard: 59 * time.Minute}, dir)
	if metadata := edgetest.Receive(t, stale, "doubt"); metadata {
		t.Error("only metadata is in doubt")
	}
}

func TestAddressesOfAPop(t *testing.T) {
	c := natstest.Start(t, 1)
	var all []*Fleet
	for _, cfg := range []config.Fleet{{Name: "a", Pop: "x", Listen: ":1"}, {Name: "b", Pop: "x", Listen: "10.0.0.1:2"}, {Name: "c", Pop: "y", Listen: ":3"}} {
		cfg.NATS = c.URLs()
		f, _ := open(t, &cfg, t.TempDir())
		all = append(all, f)
	}
	for _, f := range all[:2] {
		edgetest.Until(t, "the addresses", func() bool { return slices.Equal(f.Members(), []string{"10.0.0.1:2", "127.0.0.1:1"}) })
	}
}

// turn is one time that an edge follows a feed.
type turn struct {
	from string
	own  bool
	end  <-chan struct{}
}

// An edge follows a feed for all; without the log it follows it for itself, from where all have
// come to; and for all again, from the same place: it told nobody of the meantime.
func TestTurnsOfAFeed(t *testing.T) {
	c := natstest.Start(t, 1)
	cfg := &config.Fleet{Name: "a", NATS: c.URLs()}
	if _, err := Init(t.Context(), cfg, 1); err != nil {
		t.Fatal(err)
	}
	f, _ := open(t, cfg, t.TempDir())
	other, _ := open(t, &config.Fleet{Name: "b", NATS: c.URLs()}, t.TempDir())
	turns := make(chan turn)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		f.Follow(ctx, "npm", "http://feed", func() (bool, string) { return true, "7" }, func(ctx context.Context, from string, own bool) {
			turns <- turn{from, own, ctx.Done()}
			<-ctx.Done()
		})
	})
	defer func() { cancel(); running.Wait() }()
	first := edgetest.Receive(t, turns, "the lease")
	if first.from != "" || first.own || !f.Follows("npm") {
		t.Errorf("%+v", first)
	}
	edgetest.Until(t, "the feed by another edge", func() bool {
		live, edge := other.Heard("npm", "http://feed")
		return live && edge == "a"
	})
	if live, _ := other.Heard("npm", "http://another"); live {
		t.Error("another feed is live")
	}
	c.Kill(0)
	edgetest.Receive(t, first.end, "the end of the lease")
	alone := edgetest.Receive(t, turns, "the feed without the log")
	if alone.from != "7" || alone.own || f.Follows("npm") {
		t.Errorf("%+v", alone)
	}
	if live, _ := other.Heard("npm", "http://feed"); live {
		t.Error("the feed is live without the log")
	}
	c.Restart(0)
	edgetest.Receive(t, alone.end, "the end of being alone")
	if again := edgetest.Receive(t, turns, "the lease"); again.from != "7" || !f.Follows("npm") {
		t.Errorf("%+v", again)
	}
}

// A log that cannot be reached is told once in the edge's log, and in plain words by the status.
func TestServersThatAreNotThere(t *testing.T) {
	told := make(chan string, 64)
	f, err := Open(&config.Fleet{Name: "a", NATS: []string{"nats://127.0.0.1:1"}}, Deps{
		Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(writer(func(line string) {
			if strings.Contains(line, "not live since the start") {
				told <- line
			}
		}), nil)), Tick: tick,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Start()
	defer f.Close()
	if line := edgetest.Receive(t, told, "the warning"); !strings.Contains(line, "no connection with the NATS servers") {
		t.Error(line)
	}
	if why := f.Status().Why; !strings.Contains(why, "no connection with the NATS servers") {
		t.Error(why)
	}
}

type writer func(line string)

func (w writer) Write(line []byte) (int, error) {
	w(string(line))
	return len(line), nil
}
