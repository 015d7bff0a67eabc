package tls

import (
	"bytes"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
)

func TestUrgency(t *testing.T) {
	now := time.Now()
	of := func(life, left time.Duration) Status {
		return Status{Name: "a.example", NotBefore: now.Add(left - life), NotAfter: now.Add(left)}
	}
	acme := func(s Status) Status { s.ACME = true; return s }
	for _, tt := range []struct {
		name string
		s    Status
		want Urgency
	}{
		{"a year, 31 days left", of(365*day, 31*day), Well},
		{"a year, 30 days left", of(365*day, 30*day), Soon},
		{"a year, 8 days left", of(365*day, 8*day), Soon},
		{"a year, 7 days left", of(365*day, 7*day), Urgent},
		{"a year, 25 hours left", of(365*day, 25*time.Hour), Urgent},
		{"a year, a day left", of(365*day, day), Now},
		{"expired", of(365*day, -time.Second), Now},
		{"90 days, 30 left", of(90*day, 30*day), Soon},
		{"90 days, renewal is due", acme(of(90*day, 30*day)), Well},
		{"90 days, renewal is late", acme(of(90*day, 22*day)), Soon},
		{"6 days, half left", of(6*day, 3*day), Well},
		{"6 days, 2 left", of(6*day, 2*day), Soon},
		{"6 days, renewal is due", acme(of(6*day, 2*day)), Well},
		{"6 days, renewal is late", acme(of(6*day, 36*time.Hour)), Soon},
		{"6 days, 18 hours left", acme(of(6*day, 18*time.Hour)), Urgent},
		{"6 days, 9 hours left", acme(of(6*day, 9*time.Hour)), Now},
		{"of tomorrow", of(day, 25*time.Hour), Now},
		{"none yet", Status{ACME: true}, Well},
		{"none, and a failure", Status{ACME: true, Failed: now}, Now},
	} {
		if got := tt.s.Urgency(now); got != tt.want {
			t.Errorf("%s: %d; want %d", tt.name, got, tt.want)
		}
	}
}

func TestStatusText(t *testing.T) {
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	s := Status{Name: "a.example", NotBefore: now.Add(-50 * day), NotAfter: now.Add(40 * day)}
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{now, "expires in 40 days, on 2027-01-06"},
		{now.Add(39*day + time.Hour), "expires in 23 hours, on 2027-01-06"},
		{now.Add(43 * day), "has expired 3 days ago, on 2027-01-06"},
		{now.Add(-51 * day), "is not valid before 2026-10-08 00:00:00"},
	} {
		if got := s.Text(tt.at); got != tt.want {
			t.Errorf("got %q; want %q", got, tt.want)
		}
	}
	s = Status{Name: "a.example", Failed: now.Add(-90 * time.Second), Why: "refused"}
	if got, want := s.Text(now), "has not been obtained yet; the last attempt failed 90 seconds ago: refused"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

// The end of a certificate is told once at each step, and every day from the last on.
func TestTheEndOfACertificateIsToldAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		files := writePair(t, t.TempDir(), "edge.example", func(c *x509.Certificate) { c.NotAfter = begin.Add(100 * day) })
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key != slog.LevelKey && a.Key != "state" {
				return slog.Attr{}
			}
			return a
		}}))
		m, err := New(Config{Certificate: files, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(101*day + time.Hour)
		m.Close()
		want := `level=INFO state="expires in 100 days, on 2000-04-10"
level=WARN state="expires in 30 days, on 2000-04-10"
level=WARN state="expires in 7 days, on 2000-04-10"
level=ERROR state="expires in 24 hours, on 2000-04-10"
level=ERROR state="has expired 0 seconds ago, on 2000-04-10"
level=ERROR state="has expired 24 hours ago, on 2000-04-10"
`
		if got := out.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

// Events of certmagic become the failures of a domain's status.
func TestFailuresOfADomain(t *testing.T) {
	m, err := New(Config{Domains: []string{"a.example", "b.example"}, Dir: t.TempDir(), Listen: "127.0.0.1:8443", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	event := func(name string) {
		m.domain.magic.OnEvent(t.Context(), name, map[string]any{"identifier": "b.example", "error": errors.New("no such host")})
	}
	event("cert_failed")
	event("cert_obtaining")
	event("cert_failed")
	all := m.Status()
	if len(all) != 2 || all[0].Failures != 0 || all[1].Failures != 2 || all[1].Why != "no such host" || all[1].Urgency(time.Now()) != Now {
		t.Errorf("after two failures: %+v", all)
	}
	event("cert_obtained")
	if s := m.Status()[1]; s.Failures != 2 || s.Why != "" || !s.Failed.IsZero() {
		t.Errorf("after a success: %+v", s)
	}
}

// The certificates on disk are found where certmagic puts them.
func TestStored(t *testing.T) {
	const ca = "https://ca.example/directory"
	dir := t.TempDir()
	cert, err := os.ReadFile(writePair(t, dir, "a.example").Cert)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, certmagic.StorageKeys.SiteCert("ca.example-directory", "a.example"))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, file, cert)
	all, err := Stored(dir, ca, []string{"a.example", "b.example"})
	if err != nil || len(all) != 2 || all[0].NotAfter.IsZero() || all[0].Title() != "a.example, 127.0.0.1" || !all[1].NotAfter.IsZero() || all[1].Title() != "b.example" {
		t.Errorf("got %+v, %v", all, err)
	}
	write(t, file, []byte("x"))
	if _, err := Stored(dir, ca, []string{"a.example"}); err == nil || !strings.Contains(err.Error(), "not in PEM") {
		t.Errorf("a file that is no certificate: %v", err)
	}
}
