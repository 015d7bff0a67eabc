package origin

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/npm"
	"pkgedge/origin/origintest"
	"pkgedge/origin/sample/faults"
)

// siteOf has masters named a, b, c, … in that order, with these roles: primary,
// replica and spare. It is one configuration of the site "npm".
func siteOf(t *testing.T, r *Registry, roles string, change func(*Config)) *Site {
	t.Helper()
	cfg := Config{Site: "npm", Kind: npm.Descriptor(), Registry: r, random: func(int) int { return 0 }}
	for i, role := range roles {
		u := &url.URL{Scheme: "https", Host: string(rune('a'+i)) + ".example"}
		cfg.Masters = append(cfg.Masters, Upstream{URL: u, Primary: role == 'p', Spare: role == 's'})
	}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// state is the status of the master of that letter.
func (s *Site) state(t *testing.T, letter string) MasterStatus {
	t.Helper()
	for _, m := range s.Status()[0].Masters {
		if m.URL == "https://"+letter+".example" {
			return m
		}
	}
	t.Fatalf("no master %s", letter)
	return MasterStatus{}
}

func (s *Site) named(letter string) *health.Master {
	for _, m := range s.pool.Masters() {
		if m.Base.Host == letter+".example" {
			return m
		}
	}
	return nil
}

// A configuration finds the masters as another one of the same site knows them, and
// both go on sharing that.
func TestMastersOutliveAConfiguration(t *testing.T) {
	r := new(Registry)
	old := siteOf(t, r, "prr", nil)
	fail(old.pool, old.named("b"), inARow)
	if err := old.Drain("c.example", true); err != nil {
		t.Fatal(err)
	}
	old.named("a").Took(time.Second)
	old.Wrote([]kind.Invalidation{{Name: "one"}})

	fresh := siteOf(t, r, "rrpr", nil) // c is the primary now, and d is new
	if got := fresh.state(t, "b"); got.State != "out" || got.Why == "" || got.Since != old.state(t, "b").Since {
		t.Errorf("b: %+v", got)
	}
	if got := fresh.state(t, "c"); !got.Drained || got.Role != "primary" {
		t.Errorf("c: %+v", got)
	}
	if got := fresh.state(t, "a"); got.State != "healthy" || got.P95MS != 1000 {
		t.Errorf("a: %+v", got)
	}
	if got := fresh.state(t, "d"); got.State != "healthy" || got.P95MS != 0 {
		t.Errorf("d: %+v", got)
	}
	if !fresh.Written(kind.Route{Group: "one"}) {
		t.Error("a write has been forgotten")
	}
	// Both learn from the requests of either.
	old.Wrote([]kind.Invalidation{{Name: "two"}})
	fail(old.pool, old.named("a"), 1)
	if err := fresh.Drain("b.example", true); err != nil {
		t.Fatal(err)
	}
	if !fresh.Written(kind.Route{Group: "two"}) || fresh.state(t, "a").State != "suspect" || !old.state(t, "b").Drained {
		t.Errorf("a %+v, b %+v", fresh.state(t, "a"), old.state(t, "b"))
	}

	// They are forgotten with the last configuration that names them.
	old.Close()
	if got := fresh.state(t, "c"); !got.Drained {
		t.Error("c came back into rotation with the end of the old configuration")
	}
	without := siteOf(t, r, "rrp", func(c *Config) { c.Masters = c.Masters[1:] })
	fresh.Close()
	last := siteOf(t, r, "prr", nil)
	if got := last.state(t, "a"); got.State != "healthy" || got.P95MS != 0 {
		t.Errorf("a, which no configuration named in between: %+v", got)
	}
	if got := last.state(t, "c"); !got.Drained {
		t.Errorf("c: %+v", got)
	}
	without.Close()
	last.Close()
	if anew := siteOf(t, r, "prr", nil); anew.state(t, "c").Drained || anew.Written(kind.Route{Group: "one"}) {
		t.Error("it is remembered although no configuration named the site in between")
	}
}

// An outage goes on over a reload, and is not a second one; the windows in which
// stale answers may be used go on standing still.
func TestOutageOutlivesAConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(Registry)
		old := siteOf(t, r, "pr", nil)
		for _, n := range []string{"0", "1"} {
			if err := old.Drain(n, true); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Second)
		var heard events
		same := siteOf(t, r, "pr", func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&heard, nil)) })
		st := same.Status()[0]
		if got := same.Outage(kind.Metadata, time.Now()); got != time.Second || st.Outages != 1 || heard != 0 {
			t.Errorf("in an outage for %v, the %d., and %d lines in the log", got, st.Outages, heard)
		}
		more := siteOf(t, r, "prr", nil) // the new one may be well
		if got := more.Outage(kind.Metadata, time.Now()); got != 0 || more.state(t, "a").State != "drained" || more.state(t, "c").State != "healthy" {
			t.Errorf("in an outage for %v: %+v", got, more.Status())
		}
	})
}

// Requests that the old configuration still has in hand count at the master, which
// is not sent twice as many; and they end well after that has been closed.
func TestRequestsUnderWayOutliveAConfiguration(t *testing.T) {
	w := origintest.NewTwo(t)
	r := new(Registry)
	shared := func(c *Config) { c.Registry = r }
	old := newBehind(t, w.URLs, shared)
	gate := faults.NewGate()
	w.A.BreakNext(1, faults.Any, faults.Hold(gate))
	done := make(chan error, 1)
	site := old.Site
	go func() {
		done <- site.Fetch(t.Context(), Request{Route: site.Route(kind.Request{Method: "GET", Path: aPackument, Header: http.Header{}})}, &origintest.Recorder{})
	}()
	<-w.A.Arrived(faults.Any)
	fresh := newBehind(t, w.URLs, shared)
	old.close()
	if n := fresh.Status()[0].Masters[0].InFlight; n != 1 {
		t.Errorf("%d in flight; want the one of the old configuration", n)
	}
	if r, err := fresh.get(t, aPackument); err != nil || r.Status != http.StatusOK {
		t.Error(err)
	}
	gate.Open()
	if err := <-done; err != nil {
		t.Errorf("the old configuration's request: %v", err)
	}
	if n := fresh.Status()[0].Masters[0].InFlight; n != 0 {
		t.Errorf("%d in flight; want none", n)
	}
	if _, err := fresh.get(t, aTarball); err != nil || errors.Is(err, ErrOutage) {
		t.Errorf("after the old configuration was closed: %v", err)
	}
}

// A site that gets masters for files of its own does not take the others' state
// for theirs.
func TestPoolsOfASiteStayApart(t *testing.T) {
	w := origintest.NewTwo(t)
	r := new(Registry)
	shared := func(c *Config) { c.Registry = r }
	both := newBehind(t, w.URLs, shared)
	fail(both.pool, both.pool.Primary(), inARow)
	own := newBehind(t, w.URLs, shared, filesFrom(t, w.URLs[0]))
	if st := own.Status(); st[0].Masters[0].State != "out" || st[1].Masters[0].State != "healthy" {
		t.Errorf("%+v", st)
	}
	if own.files.Writes() != own.pool.Writes() || own.pool.Writes() != both.pool.Writes() {
		t.Error("files do not know what was written")
	}
}

// events counts the lines of a log.
type events int

func (e *events) Write(p []byte) (int, error) {
	*e++
	return len(p), nil
}
