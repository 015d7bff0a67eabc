package pool

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"pkgedge/origin/health"
	"pkgedge/origin/origintest"
	"pkgedge/origin/sample/faults"
)

// In an outage one request of each class is sent to the masters at a time. The others
// fail at once, and their error tells why.
func TestOutageIsAnsweredAtOnce(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newProbed(t, w.URLs)
	gate := faults.NewGate()
	for _, m := range []*faults.Master{w.A, w.B} {
		m.Break(faults.Path(ping), faults.Status(503))
		m.Break(faults.Any, faults.Hold(gate), faults.Status(503))
	}
	b.awaitOutage(t)
	done := make(chan error, 2)
	for _, path := range []string{aPackument, aTarball} {
		go func() {
			_, err := b.get(t, path)
			done <- err
		}()
		<-w.A.Arrived(faults.Path(path))
	}
	for _, ask := range []Request{
		{Route: b.route(aPackument)},
		{Route: b.route("/other"), Stale: true},
		{Route: b.route(aTarball)},
	} {
		err := b.Each(t.Context(), ask, nil)
		if u := isUnavailable(t, err); !errors.Is(err, ErrOutage) || u.Timeout || u.Asked || u.Unasked() ||
			!strings.Contains(err.Error(), w.URLs[1]+": 1 probe of /-/ping answered 503") {
			t.Errorf("err = %v", err)
		}
	}
	gate.Open()
	for range 2 {
		err := <-done
		if u := isUnavailable(t, err); !errors.Is(err, ErrOutage) || !u.Asked || len(u.Tried) != 3 {
			t.Errorf("err = %v; want that of both masters", err)
		}
	}
}

// Recovery does not wait for a probe: these never see it.
func TestAnswerEndsAnOutage(t *testing.T) {
	for _, stale := range []bool{false, true} {
		w := origintest.NewTwo(t)
		b := newProbed(t, w.URLs)
		w.A.Break(faults.Any, faults.Status(503))
		probes := w.B.Break(faults.Path(ping), faults.Status(503))
		b.awaitOutage(t)
		// Files are sent all at once after the first, and do not say that the registry is
		// well.
		gate := faults.NewGate()
		held := w.B.Break(faults.Path(aTarball), faults.Hold(gate))
		if _, err := b.get(t, "/edge-sample-words/-/edge-sample-words-1.1.0.tgz"); err != nil {
			t.Error(err)
		}
		const files = 20
		done := make(chan error, files)
		for range files {
			go func() {
				_, err := b.get(t, aTarball)
				done <- err
			}()
		}
		<-w.B.ArrivedTimes(firstWidth, faults.Path(aTarball))
		if b.Status().Masters[1].State != "out" {
			t.Errorf("after a file: %+v", b.Status())
		}
		gate.Open()
		for range files {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		held.Mend()
		arrived := w.B.Count(faults.Path(ping))
		a := &answer{}
		if err := b.Each(t.Context(), Request{Route: b.route(aPackument), Stale: stale}, a.use); err != nil || a.status != http.StatusOK {
			t.Errorf("%d, %v", a.status, err)
		}
		if b.Status().Outages == 0 || probes.Hits() < arrived {
			t.Error("a probe was well")
		}
	}
}

// Requests put a pool's last master out neither by silence nor by bad answers. It answers
// as soon as it can.
func TestTheLastMasterIsAlwaysTried(t *testing.T) {
	for _, masters := range []int{1, 2} {
		w := origintest.NewTwo(t)
		b := newBehind(t, w.URLs[:masters])
		w.AServer.Refuse()
		w.BServer.Refuse()
		for range 5 * inARow {
			_, err := b.get(t, aTarball)
			if u := isUnavailable(t, err); !u.Asked || errors.Is(err, ErrOutage) {
				t.Fatalf("of %d, err = %v; want that of a request which was tried", masters, err)
			}
		}
		last := w.AServer
		if masters == 2 { // the first has gone out
			last = w.BServer
		}
		if err := last.Resume(); err != nil {
			t.Fatal(err)
		}
		if r, err := b.get(t, aTarball); err != nil || r.status != http.StatusOK {
			t.Errorf("of %d, the last is back: %d, %v", masters, r.status, err)
		}
	}
}

// The budget for masters that are out bounds no first try at one that is not.
func TestFirstTriesAreFree(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, append([]string{origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })}, w.URLs...))
	w.A.Break(faults.Any, faults.Drop())
	b.SpendRetries()
	b.hedges.saved, b.hedges.perSecond, b.hedges.share = 0, 0, 0
	for _, path := range []string{aPackument, aTarball, search} {
		if strings.HasPrefix(path, "/-/") {
			b.Failed(b.Primary(), &health.Blame{Did: "answered 500", Unanswered: true}) // else it answers, if badly
			if _, _, err := b.send(t, "GET", path, ""); err != nil {
				t.Error(err)
			}
		} else if r, err := b.get(t, path); err != nil || r.status != http.StatusOK {
			t.Errorf("%s: %d, %v", path, r.status, err)
		}
	}
}
