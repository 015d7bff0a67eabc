package origin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/npm"
	"pkgedge/origin/origintest"
	"pkgedge/origin/sample/faults"
)

// Tarballs come from masters of their own, and trouble there is theirs alone.
func TestFilesHaveMastersOfTheirOwn(t *testing.T) {
	w := origintest.NewTwo(t)
	w.A.Break(faults.Suffix(".tgz"), faults.Status(500))
	w.B.Break(faults.Path(aPackument), faults.Status(500))
	other := origintest.NewTwo(t)
	b := newBehind(t, w.URLs[:1], filesFrom(t, w.URLs[1], other.URLs[0]))
	for _, path := range []string{aPackument, aTarball} {
		if r, err := b.get(t, path); err != nil || r.Status != http.StatusOK {
			t.Errorf("%s: %d, %v", path, r.Status, err)
		}
	}
	w.BServer.Refuse()
	other.AServer.Refuse()
	for range 2 * inARow {
		if _, err := b.get(t, aTarball); err == nil || errors.Is(err, ErrOutage) {
			t.Fatalf("err = %v; want that of a request which was tried", err)
		}
	}
	for _, n := range []string{"1", "2"} { // requests leave the last one in
		if err := b.Drain(n, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.get(t, aTarball); !errors.Is(err, ErrOutage) {
		t.Errorf("err = %v; want %v", err, ErrOutage)
	}
	if r, err := b.get(t, aPackument); err != nil || r.Status != http.StatusOK {
		t.Errorf("metadata in an outage of files: %d, %v", r.Status, err)
	}
	now := time.Now().Add(time.Second)
	if b.Outage(kind.File, now) == 0 || b.Outage(kind.Metadata, now) != 0 {
		t.Error("the outage is not that of the files alone")
	}
	st := b.Status()
	if len(st) != 2 || st[1].Name != "files" || st[1].Masters[0].N != 1 || st[1].Masters[0].State != "drained" || st[0].Masters[0].State != "healthy" {
		t.Errorf("%+v", st)
	}
}

func TestSpareServesWhenTheOthersFail(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs, func(c *Config) { c.Masters[1].Spare = true })
	for range 3 {
		if _, err := b.get(t, aPackument); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.B.Count(faults.Any); n != 0 {
		t.Errorf("the spare was asked %d times while the primary was well", n)
	}
	w.AServer.Refuse()
	for range 2 * inARow {
		if r, err := b.get(t, aPackument); err != nil || r.Status != http.StatusOK {
			t.Fatalf("%d, %v", r.Status, err)
		}
	}
	if got := slices.Compact(b.reported()); !slices.Equal(got, []string{"A 200", "A refused", "B 200"}) {
		t.Errorf("reports %q", got)
	}
}

func TestDrainedPrimaryTakesNoWrites(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	gate := faults.NewGate()
	w.A.BreakNext(1, faults.Any, faults.Hold(gate))
	done := make(chan error, 1)
	go func() {
		_, err := b.get(t, aTarball)
		done <- err
	}()
	<-w.A.Arrived(faults.Suffix(".tgz"))
	if err := b.Drain("0", true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.send(t, "PUT", login, aLogin); !errors.Is(err, ErrDrained) {
		t.Errorf("a write: %v; want %v", err, ErrDrained)
	}
	if _, err := b.get(t, aPackument); err != nil {
		t.Errorf("a read: %v", err)
	}
	gate.Open()
	if err := <-done; err != nil {
		t.Errorf("what was under way: %v", err)
	}
	if err := b.Drain("0", false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.send(t, "PUT", login, aLogin); err != nil {
		t.Errorf("a write after that: %v", err)
	}
	if n := w.A.Count(faults.Method("PUT")); n != 1 {
		t.Errorf("the primary got %d writes", n)
	}
}

// In an outage reads are passed on one at a time until one is answered.
func TestPassInAnOutage(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs, func(c *Config) {
		c.Probe = Probe{Path: "/-/none", Every: time.Millisecond, Timeout: time.Minute, Fall: 1, Rise: 1}
	})
	origintest.Until(t, func() bool { return b.Outage(kind.Metadata, time.Now()) > 0 }, func() any { return b.Status() })
	gate := faults.NewGate()
	w.A.Break(faults.Prefix("/-/v1/search"), faults.Hold(gate))
	done := make(chan error, 1)
	go func() {
		_, _, err := b.send(t, "GET", search, "")
		done <- err
	}()
	<-w.A.Arrived(faults.Prefix("/-/v1/search"))
	if _, _, err := b.send(t, "GET", search, ""); !errors.Is(err, ErrOutage) {
		t.Errorf("a search while another one is under way: %v; want %v", err, ErrOutage)
	}
	// A write is its own probe.
	if _, _, err := b.send(t, "PUT", login, aLogin); err != nil {
		t.Errorf("a write: %v", err)
	}
	gate.Open()
	if err := <-done; err != nil {
		t.Errorf("a search: %v", err)
	}
	if _, _, err := b.send(t, "GET", search, ""); err != nil {
		t.Errorf("a search after that: %v", err)
	}
	origintest.Equal(t, "reports", b.reported(), []string{"A pass", "A pass", "A pass"})
}

func TestNewRefuses(t *testing.T) {
	u := &url.URL{Scheme: "https", Host: "a.example"}
	for name, cfg := range map[string]Config{
		"no master":       {Kind: npm.Descriptor()},
		"no such kind":    {Kind: kind.Descriptor{Name: "cargo"}, Masters: []Upstream{{URL: u, Primary: true}}},
		"no kind at all":  {Masters: []Upstream{{URL: u, Primary: true}}},
		"neither of both": {},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

var _ kind.Kind = (*Site)(nil)
