package tls

import (
	"bytes"
	cryptotls "crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	_ "unsafe" // for linkname

	"github.com/caddyserver/certmagic"
)

// obtain has a certificate for name obtained and kept in dir, and returns its serial number.
func obtain(t *testing.T, c *ca, addr, dir, name string, change func(*Config)) (n *big.Int) {
	t.Helper()
	l, log := listen(t, addr), newWatch()
	m := startWith(t, c, dir, l, log, func(cfg *Config) {
		cfg.Domains = []string{name}
		change(cfg)
	})
	stop := serve(t, l, m)
	log.eventually(t, func() (err error) {
		n, err = serial(c, addr, name)
		return err
	})
	stop()
	m.Close()
	return n
}

func unchanged(*Config) {}

func TestProfile(t *testing.T) {
	addr := freeAddr(t)
	l := listen(t, addr)
	const shortlived = 6 * day
	c := startCAWith(t, l.Addr().(*net.TCPAddr).Port, 1, map[string]time.Duration{"default": 90 * day, "shortlived": shortlived})
	l.Close()
	dir := t.TempDir()
	obtain(t, c, addr, dir, "edge.example", func(cfg *Config) { cfg.Profile = "shortlived" })
	got, err := Stored(dir, c.directory, []string{"edge.example"})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if life := got[0].NotAfter.Sub(got[0].NotBefore).Round(time.Minute); life != shortlived {
		t.Errorf("the certificate is for %v; want %v", life, shortlived)
	}
	if u := got[0].Urgency(time.Now()); u != Well {
		t.Errorf("a new certificate of six days is of urgency %d", u)
	}
}

// The CA is down when a certificate is to be renewed: the old one is shown to its end, and the
// status has the failure.
func TestWithTheCADownTheOldCertificateIsShown(t *testing.T) {
	addr := freeAddr(t)
	l := listen(t, addr)
	c := startCA(t, l.Addr(), 9*time.Minute) // ends before the next look at it, and so is due at once
	l.Close()
	const name = "edge.example"
	dir := t.TempDir()
	first := obtain(t, c, addr, dir, name, unchanged)
	c.stop()

	l = listen(t, addr)
	log := newWatch()
	m := start(t, c, dir, l, log, name)
	serve(t, l, m)
	log.eventually(t, func() error {
		if m.Status()[0].Failed.IsZero() {
			return errors.New("no failure in the status")
		}
		return nil
	})
	if n, err := serial(c, addr, name); err != nil || n.Cmp(first) != 0 {
		t.Errorf("shown %v, %v; want the certificate %v that is there", n, err, first)
	}
	if s := m.Status()[0]; s.Failures == 0 || s.Why == "" || s.NotAfter.IsZero() {
		t.Errorf("status: %+v", s)
	}
}

// A stored certificate that has expired while the edge was down is renewed at the start.
func TestExpiredCertificateIsRenewedAtTheStart(t *testing.T) {
	addr := freeAddr(t)
	l := listen(t, addr)
	c := startCA(t, l.Addr(), 3*time.Second)
	l.Close()
	const name = "edge.example"
	dir := t.TempDir()
	obtained := func() Status {
		got, err := Stored(dir, c.directory, []string{name})
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	run := func(until func(Status) bool) {
		l, log := listen(t, addr), newWatch()
		m := start(t, c, dir, l, log, name)
		stop := serve(t, l, m)
		log.eventually(t, func() error {
			if !until(obtained()) {
				return errors.New("there is no such certificate")
			}
			return nil
		})
		stop()
		m.Close()
	}
	run(func(s Status) bool { return !s.NotAfter.IsZero() })
	first := obtained()
	<-time.After(time.Until(first.NotAfter.Add(time.Millisecond)))
	if got := obtained(); got.Urgency(time.Now()) != Now {
		t.Fatalf("stored: %+v", got)
	}
	run(func(s Status) bool { return s.NotAfter.After(first.NotAfter) })
}

// A CA that wants a certificate replaced before its time is heard, as when it will be revoked
// (RFC 9773).
func TestRevokedCertificateIsReplaced(t *testing.T) {
	addr := freeAddr(t)
	l := listen(t, addr)
	c := startCA(t, l.Addr(), 90*day)
	l.Close()
	const name = "edge.example"
	dir := t.TempDir()
	first := obtain(t, c, addr, dir, name, unchanged)
	recall(t, c, dir, name)

	l = listen(t, addr)
	log := newWatch()
	m := start(t, c, dir, l, log, name)
	serve(t, l, m)
	log.until(t, func() error {
		n, err := serial(c, addr, name)
		if err == nil && n.Cmp(first) == 0 {
			err = errors.New("the first certificate is shown still")
		}
		return err
	})
}

// recall has the CA say that a stored certificate should have been renewed by now, and has
// the edge ask about it at its next start.
func recall(t *testing.T, c *ca, dir, name string) {
	t.Helper()
	issuer := (&certmagic.ACMEIssuer{CA: c.directory}).IssuerKey()
	at := func(key string) string { return filepath.Join(dir, filepath.FromSlash(key)) }
	text, err := os.ReadFile(at(certmagic.StorageKeys.SiteCert(issuer, name)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	body, err := json.Marshal(map[string]string{"Certificate": string(text), "ARIResponse": fmt.Sprintf(
		`{"suggestedWindow":{"start":%q,"end":%q}}`, now.Add(-2*time.Hour).UTC().Format(time.RFC3339), now.Add(-time.Hour).UTC().Format(time.RFC3339),
	)})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &cryptotls.Config{RootCAs: c.web}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Post(c.manage+"/set-renewal-info/", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}

	meta := at(certmagic.StorageKeys.SiteMeta(issuer, name))
	if text, err = os.ReadFile(meta); err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	all["issuer_data"].(map[string]any)["renewal_info"].(map[string]any)["_retryAfter"] = now.Add(-time.Minute)
	if text, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	write(t, meta, text)
}

// retryIntervals are certmagic's waits between two attempts, of a minute and more. Nothing sets them.
//
//go:linkname retryIntervals github.com/caddyserver/certmagic.retryIntervals
var retryIntervals []time.Duration

// The CA is down when a certificate is to be renewed, and comes back: it is renewed without a restart, and the
// failures leave the status.
func TestWhenTheCAIsBackTheCertificateIsRenewed(t *testing.T) {
	usual := retryIntervals
	retryIntervals = []time.Duration{100 * time.Millisecond}
	t.Cleanup(func() { retryIntervals = usual }) // when the manager is closed
	addr := freeAddr(t)
	l := listen(t, addr)
	c := startCA(t, l.Addr(), 9*time.Minute) // due at once
	l.Close()
	const name = "edge.example"
	way := newWay(t, strings.TrimSuffix(strings.TrimPrefix(c.directory, "https://"), "/dir"))
	c.directory = "https://" + way.addr + "/dir"
	dir := t.TempDir()
	way.open()
	first := obtain(t, c, addr, dir, name, unchanged)
	way.close()

	l = listen(t, addr)
	log := newWatch()
	m := start(t, c, dir, l, log, name)
	serve(t, l, m)
	log.eventually(t, func() error {
		if m.Status()[0].Failures < 2 {
			return errors.New("two attempts have not failed yet")
		}
		return nil
	})
	if n, err := serial(c, addr, name); err != nil || n.Cmp(first) != 0 {
		t.Errorf("shown %v, %v while the CA is down; want the certificate %v that is there", n, err, first)
	}
	way.open()
	log.eventually(t, func() error {
		n, err := serial(c, addr, name)
		if err == nil && n.Cmp(first) == 0 {
			err = errors.New("the first certificate is shown still")
		}
		return err
	})
	log.eventually(t, func() error {
		if s := m.Status()[0]; !s.Failed.IsZero() || s.Why != "" {
			return fmt.Errorf("status: %+v", s)
		}
		return nil
	})
}

// way is the way to a server, which can be closed: then connections are refused.
type way struct {
	t        *testing.T
	addr, to string
	listener net.Listener
	served   sync.WaitGroup
}

func newWay(t *testing.T, to string) *way {
	w := &way{t: t, addr: freeAddr(t), to: to}
	t.Cleanup(w.close)
	return w
}

func (w *way) open() {
	w.listener = listen(w.t, w.addr)
	w.served.Go(func() {
		var conns []net.Conn
		defer func() {
			for _, c := range conns {
				c.Close()
			}
		}()
		for {
			from, err := w.listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", w.to)
			if err != nil {
				from.Close()
				continue
			}
			conns = append(conns, from, to)
			for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
				w.served.Go(func() {
					io.Copy(pair[0], pair[1])
					from.Close()
					to.Close()
				})
			}
		}
	})
}

func (w *way) close() {
	if w.listener != nil {
		w.listener.Close()
		w.listener = nil
		w.served.Wait()
	}
}
