package health

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/origintest"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/transport"
)

func TestProbeFindsWhatIsWrong(t *testing.T) {
	const path = "/edge-sample-words"
	for _, tt := range []struct {
		name   string
		faults []faults.Fault
		want   string // in words; "" for well
		refuse bool
	}{
		{"well", nil, "", false},
		{"hangs on this path", []faults.Fault{faults.Hang()}, "timed out after 50ms", false},
		{"hangs in the header", []faults.Fault{faults.HangInHeaders()}, "timed out after 50ms", false},
		{"hangs in the body", []faults.Fault{faults.HangAfter(10)}, "timed out after 50ms", false},
		{"cut", []faults.Fault{faults.CutAfter(10)}, "were cut off", false},
		{"drops connections", []faults.Fault{faults.Drop()}, "were cut off", false},
		{"503", []faults.Fault{faults.Status(503)}, "answered 503", false},
		{"429", []faults.Fault{faults.Status(429)}, "answered 429", false},
		{"404", []faults.Fault{faults.Status(404)}, "answered 404", false},
		{"a page", []faults.Fault{faults.HTML()}, "answered with something that is not JSON", false},
		{"short", []faults.Fault{faults.ShortBody(50)}, "answered with something that is not JSON", false},
		{"empty", []faults.Fault{faults.Empty()}, "answered with something that is not JSON", false},
		{"a loop", []faults.Fault{faults.RedirectLoop()}, "were redirected in circles", false},
		{"refuses connections", nil, "found the connection refused", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store, err := sample.Samples()
			if err != nil {
				t.Fatal(err)
			}
			m, s := origintest.StartMaster(t, store)
			g := groupAt(t, s.URL())
			g.cfg.Probe = Probe{Path: path, Timeout: time.Minute, Fall: 1, Rise: 1}
			if tt.want == "timed out after 50ms" {
				g.cfg.Probe.Timeout = 50 * time.Millisecond
			}
			if tt.faults != nil {
				m.Break(faults.Path(path), tt.faults...)
			}
			if tt.refuse {
				s.Refuse()
			}
			// The time of a probe that hangs begins when it has arrived, however busy the machine.
			ctx := &expiring{t.Context(), make(chan struct{})}
			if g.cfg.Probe.Timeout < time.Second {
				arrived := m.ArrivedTimes(1, faults.Path(path))
				go func() {
					<-arrived
					time.AfterFunc(g.cfg.Probe.Timeout, func() { close(ctx.done) })
				}()
			}
			err = g.send(ctx, g.Primary(), g.target(g.Primary()))
			got := ""
			if err != nil {
				got = g.probeWords(err)
			}
			if got != tt.want {
				t.Errorf("probes %q (%v); want %q", got, err, tt.want)
			}
			if !tt.refuse && origintest.Last(t, m).Header.Get("User-Agent") != "pkgedge (probe)" {
				t.Errorf("it came as %q", origintest.Last(t, m).Header.Get("User-Agent"))
			}
		})
	}
}

// expiring is a context whose deadline passes when done is closed.
type expiring struct {
	context.Context
	done chan struct{}
}

func (e *expiring) Done() <-chan struct{} { return e.done }

func (e *expiring) Err() error {
	select {
	case <-e.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// groupAt has one master at a URL.
func groupAt(t *testing.T, urls ...string) *Group {
	g := groupOf("", func(c *Config) {
		for i, u := range origintest.URLs(t, urls) {
			c.Masters = append(c.Masters, Upstream{URL: u, Primary: i == 0})
		}
		c.Transport = transport.New(origintest.Patient())
		t.Cleanup(c.Transport.CloseIdleConnections)
	})
	return g
}

// A real path is probed: the smallest packument that is known.
func TestProbeTakesTheSmallestPackument(t *testing.T) {
	const packument, tarball = "/edge-sample-words", "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
	w := origintest.NewTwo(t)
	all, files := groupAt(t, w.URLs...), groupAt(t, w.URLs[1])
	all.cfg.Probe = Probe{Every: time.Hour, Timeout: time.Minute}
	files.cfg.Probe, files.cfg.Files = all.cfg.Probe, true
	next := func(g *Group) target {
		g.Primary().probe.at = time.Now() // after the documents that clients were given
		return g.target(g.Primary())
	}
	is := func(g *Group, method, path string) {
		t.Helper()
		if got := next(g); got.method != method || got.path != path {
			t.Errorf("probes with %s %q; want %s %q", got.method, got.path, method, path)
		}
	}
	document := func(path string) kind.Route {
		return kind.Route{Class: kind.Metadata, Endpoint: "packument", Path: path}
	}
	is(all, "GET", "/-/ping")
	is(files, "HEAD", "")
	all.Learn(all.Primary(), document(packument), true, 10)
	is(all, "GET", "/-/ping") // a private document may be one client's alone
	all.Learn(all.Primary(), document("/edge-sample-app"), false, 1000)
	is(all, "GET", "/edge-sample-app/latest")
	all.Learn(all.Primary(), document(packument), false, 2000)
	is(all, "GET", "/edge-sample-app/latest")
	all.Learn(all.Primary(), document(packument), false, 900)
	is(all, "GET", packument+"/latest")
	all.Learn(all.Primary(), document("/huge"), false, smallest+1)
	files.Learn(files.Primary(), kind.Route{Class: kind.File, Endpoint: "tarball", Path: tarball}, false, 1000)
	is(files, "HEAD", tarball)
	for _, g := range []*Group{all, files} {
		if err := g.send(t.Context(), g.Primary(), next(g)); err != nil {
			t.Error(err)
		}
	}
	// Gone is not ill.
	probed := next(all)
	w.A.Break(faults.Path(probed.path), faults.Status(404))
	if err := all.send(t.Context(), all.Primary(), probed); err != nil {
		t.Errorf("a document that has gone makes a master ill: %v", err)
	}
	is(all, "GET", "/-/ping")
	all.cfg.Probe.Path = "/x"
	is(all, "GET", "/x")
}

// probes are those of a fake prober.
type probes struct {
	mu   sync.Mutex
	ill  map[string]bool // by letter, and then maybe a path: "a /x"
	at   map[string][]time.Duration
	path map[string]string // that was asked for last
	t0   time.Time

	deaf chan struct{} // when set, the primary's probe waits for it and for nothing else
}

func (f *probes) ask(ctx context.Context, m *Master, t target) error {
	f.mu.Lock()
	letter := m.Base.Host[:1]
	f.at[letter] = append(f.at[letter], time.Since(f.t0))
	f.path[letter] = t.path
	ill, deaf := f.ill[letter] || f.ill[letter+" "+t.path], f.deaf
	f.mu.Unlock()
	if deaf != nil && m.Primary {
		<-deaf
	}
	if ill {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (f *probes) set(letter string, ill bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ill[letter] = ill
}

// steady makes probes come at even intervals.
func steady(n int) int { return n / 2 }

// begin has a pool probed by a fake prober, in a bubble.
func begin(t *testing.T, roles string, random func(int) int) (*Group, *probes) {
	return beginAt(t, "/x", roles, random)
}

func beginAt(t *testing.T, path, roles string, random func(int) int) (*Group, *probes) {
	f := &probes{ill: make(map[string]bool), at: make(map[string][]time.Duration), path: make(map[string]string), t0: time.Now()}
	p := groupOf(roles, func(c *Config) {
		c.Probe = Probe{Path: path, Every: 5 * time.Second, Timeout: 2 * time.Second, Fall: 3, Rise: 2}
	})
	p.send = f.ask
	p.cfg.Random = random
	p.Start()
	t.Cleanup(p.Close)
	return p, f
}

// A master that hangs is out of rotation within the configured probes, and
// comes back by them.
func TestProbesTakeOutAndBringBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := begin(t, "pr", steady)
		f.set("a", true)
		<-time.After(3 * (5 + 2) * time.Second)
		synctest.Wait()
		if got := p.state("a"); got.State != "out" || got.Why != "3 probes of /x timed out after 2s" || got.Probe.Result != "timed out after 2s" {
			t.Errorf("%+v, %+v", got, got.Probe)
		}
		f.set("a", false)
		<-time.After(2 * 7 * time.Second)
		synctest.Wait()
		if got := p.state("a"); got.State != "recovering" || got.Probe.Result != "ok" {
			t.Errorf("%+v, %+v", got, got.Probe)
		}
		<-time.After(slowStart)
		if got := p.state("a"); got.State != "healthy" || got.Share != 1 {
			t.Errorf("%+v", got)
		}
		if got := p.state("b"); got.State != "healthy" {
			t.Errorf("%+v", got)
		}
	})
}

var words = kind.Route{Class: kind.Metadata, Endpoint: "packument", Path: "/words"}

// A registry that hangs while its root and its ping answer is out within the
// configured probes, whether or not a client runs into it.
func TestRegistryThatHangsBehindAWellRootIsFound(t *testing.T) {
	const real = "/words/latest"
	for _, tt := range []struct {
		name string
		let  func(p *Group) // down a client
	}{
		{"a client was let down", func(p *Group) { p.Failed(p.Primary(), unanswered) }},
		{"no client asks", func(*Group) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, f := beginAt(t, "", "pr", steady)
				for _, m := range p.masters {
					p.Learn(m, words, false, 1000)
				}
				<-time.After(6 * time.Second)
				f.set("a "+real, true)
				tt.let(p)
				<-time.After(3 * (5 + 2) * time.Second)
				synctest.Wait()
				want := "3 probes of " + real + " timed out after 2s"
				if got := p.state("a"); got.State != "out" || got.Why != want {
					t.Errorf("it is %s, because %q; want it out, because %q", got.State, got.Why, want)
				}
				if got := p.state("b"); got.State != "healthy" {
					t.Errorf("the other one is %s", got.State)
				}
			})
		})
	}
}

// A document that a client was given tells more than a probe of one, and is not
// paid for twice.
func TestProbesPingAMasterThatGaveAClientADocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := beginAt(t, "", "pr", steady)
		const ping, real = "/-/ping", "/words/latest"
		a := p.Primary()
		for _, step := range []struct {
			name  string
			do    func()
			after time.Duration
			a, b  string
		}{
			{"nothing is known", func() {}, 3 * time.Second, ping, ping},
			{"the first gave a client a document", func() { p.Learn(a, words, false, 1000) }, 5 * time.Second, ping, real},
			{"it did nothing since", func() {}, 5 * time.Second, real, real},
			{"it gave another", func() { p.Learn(a, words, false, 2000) }, 5 * time.Second, ping, real},
			{"it gave another, and then let one down", func() { p.Learn(a, words, false, 1000); p.Failed(a, unanswered) }, time.Second, real, real},
		} {
			step.do()
			<-time.After(step.after)
			synctest.Wait()
			f.mu.Lock()
			if f.path["a"] != step.a || f.path["b"] != step.b {
				t.Errorf("%s: the first is asked for %s, the second for %s; want %s and %s", step.name, f.path["a"], f.path["b"], step.a, step.b)
			}
			f.mu.Unlock()
		}
	})
}

// A spare takes over by itself, and hands back.
func TestSpareTakesOverAndHandsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := begin(t, "prs", steady)
		f.set("a", true)
		f.set("b", true)
		begun := time.Now()
		for p.order()[:1] != "c" {
			if time.Since(begun) > 3*(5+2)*time.Second {
				t.Fatalf("order %q", p.order())
			}
			<-time.After(time.Second)
			synctest.Wait()
		}
		<-time.After(7 * time.Second) // one more period, in which the last of the others goes out
		if got := p.order(); got != "c|ab" {
			t.Errorf("order %q", got)
		}
		if p.Down() {
			t.Error("an outage with a spare that is well")
		}
		f.set("b", false)
		<-time.After(2*7*time.Second + slowStart)
		synctest.Wait()
		if got := p.order(); got != "bc|a" {
			t.Errorf("order %q once a replica is back", got)
		}
	})
}

func TestOutageIsProbedSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := begin(t, "p", steady)
		f.set("a", true)
		<-time.After(30 * time.Second)
		if !p.Down() {
			t.Fatal("no outage")
		}
		f.set("a", false)
		<-time.After(2*time.Second + inOutage) // the probe that hangs, and the next
		synctest.Wait()
		if p.Down() {
			t.Errorf("still an outage: %+v", p.state("a"))
		}
	})
}

func TestProbesAreSpreadOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var next atomic.Int64
		_, f := begin(t, "pr", func(n int) int { return int(next.Add(371)) % n })
		<-time.After(time.Minute)
		f.mu.Lock()
		defer f.mu.Unlock()
		var gaps []time.Duration
		for i := range len(f.at["a"]) - 2 {
			gaps = append(gaps, f.at["a"][i+2]-f.at["a"][i+1])
		}
		if slices.Min(gaps) < 4500*time.Millisecond || slices.Max(gaps) > 5500*time.Millisecond || slices.Min(gaps) == slices.Max(gaps) {
			t.Errorf("probes %v apart; want 5s, give or take a tenth", gaps)
		}
	})
}

// Supervision is itself watched.
func TestStalledProbeLoopShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := begin(t, "pr", steady)
		<-time.After(20 * time.Second)
		if got := p.state("a").Probe; got.Stalled || got.Age > 7 {
			t.Fatalf("%+v", got)
		}
		gate := make(chan struct{})
		f.mu.Lock()
		f.deaf = gate
		f.mu.Unlock()
		<-time.After(time.Minute)
		if got := p.state("a").Probe; !got.Stalled || got.Age < 50 {
			t.Errorf("%+v; want it stalled", got)
		}
		if got := p.state("b").Probe; got.Stalled {
			t.Errorf("%+v; want the other one as it was", got)
		}
		close(gate)
	})
}

// A master that has just failed is looked at now.
func TestDoubtIsProbedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := begin(t, "pr", steady)
		<-time.After(time.Second)
		p.Failed(p.Primary(), unanswered)
		synctest.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		if !slices.Equal(f.at["a"], []time.Duration{time.Second}) || f.at["b"] != nil {
			t.Errorf("probes at %v", f.at)
		}
	})
}

// A client may have masters probed as often as it makes a request fail. They are probed once a second at most.
func TestDoubtIsProbedOnceASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := begin(t, "pr", steady)
		const seconds = 20
		for range seconds * 100 {
			<-time.After(time.Second / 100)
			p.Failed(p.Primary(), &Blame{Did: "cut off before an answer", Unanswered: true, Unsure: true})
		}
		synctest.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		if n := len(f.at["a"]); n < seconds/2 || n > seconds+1 {
			t.Errorf("%d probes in %d s", n, seconds)
		}
	})
}
