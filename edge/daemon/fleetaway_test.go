package daemon

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pkgedge/edge/admin"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet/purgelog"
	"pkgedge/edge/report"
)

// load is clients that ask all edges, until stop.
type load struct {
	answers atomic.Int64
	stop    func()
}

// pace leaves the processors to the other tests.
const pace = 5 * time.Millisecond

// ask has clients ask each edge for things that are stored, and for things that are not.
func (b *band) ask() *load {
	l := new(load)
	end := make(chan struct{})
	var clients sync.WaitGroup
	for i, e := range b.edges {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				case <-time.After(pace):
				}
				path := words
				if n%8 == 0 {
					path = fmt.Sprintf("%s?n=%d", tarballs[n/8%len(tarballs)], n) // a file again, and no hit
				}
				resp, _, err := edgetest.GetText(b.t, b.client, e.cfg.PublicURL.String()+path)
				if err != nil || resp.StatusCode != http.StatusOK {
					b.t.Errorf("edge %d: %s: %v, %v", i, path, resp, err)
					return
				}
				l.answers.Add(1)
			}
		})
	}
	l.stop = sync.OnceFunc(func() { close(end); clients.Wait() })
	b.t.Cleanup(l.stop)
	return l
}

// goesOn waits until clients have had some answers more.
func (l *load) goesOn(t *testing.T) {
	t.Helper()
	from := l.answers.Load()
	edgetest.Until(t, "answers", func() bool { return l.answers.Load() > from+20 })
}

// purgeByHTTP is the request of an operator at the first edge. It returns the status.
func (b *band) purgeByHTTP(body string) int {
	b.t.Helper()
	e := b.edges[0].Daemon
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/purge", strings.NewReader(body))
	r.Host, r.RemoteAddr = "127.0.0.1:8081", "127.0.0.1:40000"
	r.Header.Set("Content-Type", "application/json")
	admin.New(admin.Config{
		Listen: "127.0.0.1:8081", Purger: purger{e}, Drainer: drainer{e}, Reloader: reloader{e}, Status: e.status, Ready: e.ready,
		Metrics: e.metrics.Handler(), Logger: edgetest.QuietLog(),
	}).ServeHTTP(w, r)
	if w.Code/100 != 2 {
		b.t.Errorf("a purge is answered %d: %s", w.Code, bytes.TrimSpace(w.Body.Bytes()))
	}
	return w.Code
}

// In each trouble of the engine under load clients have their answers, a purge is in force where it
// was made, is answered 202, and comes to the other edge when the engine is well.
func TestTheEngineInTroubleUnderLoad(t *testing.T) {
	for _, tt := range []struct {
		name    string
		trouble func(b *band)
		mend    func(b *band)
		reset   bool // everything is put in doubt with it
	}{
		{"it stops answering, and connections stay open", func(b *band) { b.gate.Shut() }, func(b *band) { b.gate.Open() }, false},
		{"the stream is deleted", func(b *band) {
			_, js := b.servers.Connect()
			if err := js.DeleteStream(b.t.Context(), purgelog.Stream); err != nil {
				b.t.Fatal(err)
			}
		}, (*band).init, true},
		{"it comes back with empty storage", func(b *band) {
			b.servers.Kill(0)
			b.servers.Lose(0)
			b.servers.Restart(0)
		}, (*band).init, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBand(t, 2, false)
			b.fill()
			l := b.ask()
			l.goesOn(t)
			tt.trouble(b)
			if code := b.purgeByHTTP(`{"package":"edge-sample-words"}`); code != http.StatusAccepted {
				t.Errorf("a purge is answered %d", code)
			}
			l.goesOn(t)
			edgetest.Until(t, "logs that are not live", func() bool { return !b.edges[0].fleet.Live() && !b.edges[1].fleet.Live() })
			l.goesOn(t)
			for i, e := range b.edges {
				s := e.report()
				if !slices.ContainsFunc(s.Problems(), func(p report.Problem) bool { return p.Mark() == "!!" && strings.Contains(p.Text, "not live") }) || s.Fleet.Log.Outbox != 1-i {
					t.Errorf("edge %d: %+v: %v", i, s.Fleet.Log, s.Problems())
				}
				if err := e.ready(); err != nil {
					t.Errorf("edge %d: %v", i, err)
				}
			}
			tt.mend(b)
			edgetest.Until(t, "live logs", func() bool { return b.edges[0].fleet.Live() && b.edges[1].fleet.Live() })
			edgetest.Until(t, "the purge at the other edge", func() bool {
				return b.edges[1].fleet.Status().Applied == 1 && b.edges[0].fleet.Status().Outbox == 0
			})
			l.goesOn(t)
			l.stop()
			for i, e := range b.edges {
				if n := e.fleet.Status().Resets; n != 1 && !tt.reset || tt.reset && n != 2 { // the first is the start's
					t.Errorf("edge %d: everything was in doubt %d times", i, n)
				}
			}
		})
	}
}

// An edge starts, is ready and answers while the engine says nothing, and reads the log later.
func TestAnEdgeStartsWhileTheEngineSaysNothing(t *testing.T) {
	t.Parallel()
	b := newBand(t, 1, false)
	b.status(0, tarballs[0])
	b.edges[0].settle(t)
	dir := b.edges[0].cfg.Cache.Dir
	b.stops[0]()
	b.gate.Shut()
	b.startNow(0, dir)
	if err := b.edges[0].ready(); err != nil || b.edges[0].fleet.Live() {
		t.Errorf("ready: %v, live: %t", err, b.edges[0].fleet.Live())
	}
	if s := b.status(0, tarballs[0]); !strings.Contains(s, "hit") {
		t.Error(s)
	}
	b.gate.Open()
	edgetest.Until(t, "a live log", b.edges[0].fleet.Live)
}

// A store that hangs or fails costs no client anything, and is out.
func TestAStoreInTroubleCostsNoAnswer(t *testing.T) {
	p := newPopOf(t, 2, byToken)
	want := make(map[string][]byte)
	for _, path := range tarballs {
		want[path] = p.get(t, p.edges[0], path)
	}
	release := make(chan struct{})
	defer close(release)
	for name, fault := range map[string]http.HandlerFunc{
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
		"fails": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		p.bucket.fault.Store(&fault)
		p.join(t, 2)
		for _, path := range tarballs {
			for _, e := range p.edges {
				if got := p.get(t, e, path); !bytes.Equal(got, want[path]) {
					t.Errorf("it %s: %s: %d bytes, want %d", name, path, len(got), len(want[path]))
				}
			}
		}
		for i, e := range p.edges {
			if err := e.ready(); err != nil {
				t.Errorf("it %s: edge %d: %v", name, i, err)
			}
		}
		out := func(e *testEdge) bool { return e.pop.Store.Status().State == "out" }
		if !slices.ContainsFunc(p.edges, out) {
			t.Errorf("it %s, and is out nowhere", name)
		}
	}
}
