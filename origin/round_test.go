package origin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/sample/faults"
)

// A master that answers only after many redirects is given up like one that does
// not answer.
func TestRedirectsDoNotAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("p", func(c *Config) {
			c.Timeouts = Timeouts{Connect: 2 * time.Second, FirstByte: 10 * time.Second, Idle: 20 * time.Second}
		})
		m := p.primary()
		m.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(9 * time.Second):
				return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"/next"}}, Body: http.NoBody, Request: r}, nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		begun := time.Now()
		r := p.send(t.Context(), m, Ask{Route: kind.Route{Class: kind.Metadata, Endpoint: "packument", Path: "/x"}}, false)
		if took := time.Since(begun); took != 14*time.Second || reason(r.err) != "timeout" {
			t.Errorf("%v after %s; want a timeout after 14s", r.err, took)
		}
		r.close()
		if got := p.state("a"); got.InFlight != 0 || got.State != "suspect" {
			t.Errorf("%+v", got)
		}
		begun = time.Now()
		_, _, err := (&Site{pool: p}).peek(t.Context(), m, Ask{}, "/list.sig")
		if took := time.Since(begun); took != 14*time.Second || reason(err) != "timeout" {
			t.Errorf("what is beside it: %v after %s", err, took)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// When masters fail, they are not asked twice as much.
func TestRetriesHaveABudget(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	b.pool.retries.perSecond = 0
	w.a.Break(faults.Any, faults.Status(503))
	w.b.Break(faults.Any, faults.Status(503))
	const requests = 100
	for i := range requests {
		_, err := b.get(t, fmt.Sprintf("/edge-sample-%d", i))
		isUnavailable(t, err)
	}
	most := requests + int(b.pool.retries.most) + requests/10
	if n := w.a.Count(faults.Any) + w.b.Count(faults.Any); n > most || n <= requests {
		t.Errorf("%d requests at the masters for %d; want at most %d", n, requests, most)
	}
}

func TestHangingMasterIsLeftAlone(t *testing.T) {
	short := patient
	short.FirstByte = 250 * time.Millisecond
	w := newTwo(t)
	b := newBehind(t, w.bothURLs, waits(short))
	w.a.Break(faults.Any, faults.Hang())
	for range 2 * inARow {
		if _, err := b.get(t, aTarball); err != nil {
			t.Fatal(err)
		}
	}
	b.pool.asking.Wait()
	if n := w.a.Count(faults.Suffix(".tgz")); n != 1 {
		t.Errorf("it was asked %d times while another was well; want 1", n)
	}
}

// Tarballs come from masters of their own, and trouble there is theirs alone.
func TestFilesHaveMastersOfTheirOwn(t *testing.T) {
	w := newTwo(t)
	w.a.Break(faults.Suffix(".tgz"), faults.Status(500))
	w.b.Break(faults.Path(aPackument), faults.Status(500))
	b := newBehind(t, w.bothURLs[:1], filesFrom(t, w.bothURLs[1]))
	for _, path := range []string{aPackument, aTarball} {
		if r, err := b.get(t, path); err != nil || r.status != http.StatusOK {
			t.Errorf("%s: %d, %v", path, r.status, err)
		}
	}
	w.bS.Refuse()
	for range inARow {
		if _, err := b.get(t, aTarball); err == nil {
			t.Fatal("a file came from nowhere")
		}
	}
	if _, err := b.get(t, aTarball); !errors.Is(err, ErrOutage) {
		t.Errorf("err = %v; want %v", err, ErrOutage)
	}
	if r, err := b.get(t, aPackument); err != nil || r.status != http.StatusOK {
		t.Errorf("metadata in an outage of files: %d, %v", r.status, err)
	}
	now := time.Now().Add(time.Second)
	if b.Outage(kind.File, now) == 0 || b.Outage(kind.Metadata, now) != 0 {
		t.Error("the outage is not that of the files alone")
	}
	st := b.Status()
	if len(st) != 2 || st[1].Name != "files" || st[1].Masters[0].N != 1 || st[1].Masters[0].State != "out" || st[0].Masters[0].State != "healthy" {
		t.Errorf("%+v", st)
	}
}

func filesFrom(t *testing.T, urls ...string) option {
	return func(c *Config) {
		for i, u := range upstreamsOf(t, urls) {
			u.Primary = i == 0
			c.Files = append(c.Files, u)
		}
	}
}

func TestSpareServesWhenTheOthersFail(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs, func(c *Config) { c.Masters[1].Spare = true })
	for range 3 {
		if _, err := b.get(t, aPackument); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.b.Count(faults.Any); n != 0 {
		t.Errorf("the spare was asked %d times while the primary was well", n)
	}
	w.aS.Refuse()
	for range 2 * inARow {
		if r, err := b.get(t, aPackument); err != nil || r.status != http.StatusOK {
			t.Fatalf("%d, %v", r.status, err)
		}
	}
	if got := slices.Compact(b.reported()); !slices.Equal(got, []string{"A 200", "A refused", "B 200"}) {
		t.Errorf("reports %q", got)
	}
}

func TestDrainedPrimaryTakesNoWrites(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	gate := faults.NewGate()
	w.a.BreakNext(1, faults.Any, faults.Hold(gate))
	done := make(chan error, 1)
	go func() {
		_, err := b.get(t, aTarball)
		done <- err
	}()
	<-w.a.Arrived(faults.Suffix(".tgz"))
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
	if n := w.a.Count(faults.Method("PUT")); n != 1 {
		t.Errorf("the primary got %d writes", n)
	}
}

func TestPassInAnOutage(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	for _, m := range b.pool.masters {
		for range inARow {
			b.pool.failed(m, unanswered)
		}
	}
	if _, _, err := b.send(t, "GET", search, ""); !errors.Is(err, ErrOutage) {
		t.Errorf("a search: %v; want %v", err, ErrOutage)
	}
	// A write is its own probe.
	if _, _, err := b.send(t, "PUT", login, aLogin); err != nil {
		t.Errorf("a write: %v", err)
	}
	equal(t, "reports", b.reported(), []string{"A pass"})
}

// A request may end while another master is still being asked for it.
func TestRoundEndsWithItsClient(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	b.usual()
	w.a.Break(faults.Any, faults.Hang())
	w.b.Break(faults.Any, faults.Hang())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Fetch(ctx, Ask{Route: b.route(aPackument)}, &recorder{}) }()
	<-w.b.Arrived(faults.Any)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	b.pool.asking.Wait()
	for _, m := range b.Status()[0].Masters {
		if m.State != "healthy" || m.InFlight != 0 {
			t.Errorf("%+v", m)
		}
	}
}
