package health

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/npm"
	"pkgedge/origin/origintest"
	"pkgedge/origin/transport"
)

var (
	unanswered  = &Blame{Did: "not answered in time", Unanswered: true}
	cutBody     = &Blame{Did: "cut mid-body"}
	answered503 = &Blame{Did: "answered 503"}
)

// groupOf has masters named a, b, c, … in that order, with these roles: primary,
// replica and spare.
func groupOf(roles string, change func(*Config)) *Group {
	cfg := Config{
		Site: "npm", Pool: "masters", Ping: npm.Descriptor().Ping, ProbePath: npm.Descriptor().ProbePath,
		Transport: transport.New(transport.Timeouts{}), Random: func(int) int { return 0 },
	}
	for i, r := range roles {
		u := &url.URL{Scheme: "https", Host: string(rune('a'+i)) + ".example"}
		cfg.Masters = append(cfg.Masters, Upstream{URL: u, Primary: r == 'p', Spare: r == 's'})
	}
	if change != nil {
		change(&cfg)
	}
	return NewGroup(cfg)
}

// named is the master of that letter.
func (g *Group) named(letter string) *Master {
	i := slices.IndexFunc(g.masters, func(m *Master) bool { return m.Base.Host == letter+".example" })
	return g.masters[i]
}

// order are the letters of the masters by trust: first those to ask, then spares,
// then those in doubt, and after a bar the hopeless.
func (g *Group) order() string {
	var tiers [4]string
	for _, c := range g.Candidates() {
		tier := map[Trust]int{Trusted: 0, Doubted: 2, Hopeless: 3}[c.Trust]
		if c.Trust == Trusted && c.Spare {
			tier = 1
		}
		tiers[tier] += c.Base.Host[:1]
	}
	expected := tiers[0] + tiers[1] + tiers[2]
	if tiers[3] == "" {
		return expected
	}
	return expected + "|" + tiers[3]
}

func (g *Group) state(letter string) MasterStatus {
	for _, m := range g.Status().Masters {
		if strings.Contains(m.URL, "//"+letter+".") {
			return m
		}
	}
	return MasterStatus{}
}

// step is something that happens to a master, named by its letter, and then how
// it stands and the order in which masters are asked.
type step struct {
	what  string // "a unanswered", "a cut", "a 503", "a ok", "a file", "a probed", "a unprobed", "a drain", "a undrain" or "wait"
	times int
	wait  time.Duration
	state string // of the master
	order string
}

func (s step) apply(t *testing.T, g *Group) {
	if s.what == "wait" {
		<-time.After(s.wait)
	}
	letter, what, _ := strings.Cut(s.what, " ")
	for range max(1, s.times) {
		switch what {
		case "unanswered":
			g.Failed(g.named(letter), unanswered)
		case "cut":
			g.Failed(g.named(letter), cutBody)
		case "stalled":
			g.Failed(g.named(letter), Answered(transport.ErrIdle))
		case "503":
			g.Failed(g.named(letter), answered503)
		case "ok":
			g.Answered(g.named(letter), ForMetadata)
		case "file":
			g.Answered(g.named(letter), ForFiles)
		case "drain", "undrain":
			g.Drain(letter+".example", what == "drain")
		case "probed":
			g.recordProbe(g.named(letter), "/-/ping", 0, nil)
		case "unprobed":
			g.recordProbe(g.named(letter), "/-/ping", 0, context.DeadlineExceeded)
		}
	}
	if s.state != "" {
		name, want, _ := strings.Cut(s.state, " ")
		if got := g.state(name).State; got != want {
			t.Errorf("after %s: %s is %s, want %s", s.what, name, got, want)
		}
	}
	if got := g.order(); got != s.order {
		t.Errorf("after %s %d: masters are asked in the order %q, want %q", s.what, s.times, got, s.order)
	}
}

func TestMastersGoAndComeBack(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		roles string
		probe bool
		steps []step
	}{
		{"one that does not answer is asked last for a while", "prr", true, []step{
			{what: "a unanswered", state: "a suspect", order: "bca"},
			{what: "b unanswered", state: "b suspect", order: "cab"},
			{what: "wait", wait: suspicion, state: "a healthy", order: "abc"},
		}},
		{"until it answers", "pr", true, []step{
			{what: "a unanswered", order: "ba"},
			{what: "a ok", state: "a healthy", order: "ab"},
		}},
		{"nor is one that stalls in a body asked first again", "prr", true, []step{
			{what: "a stalled", state: "a suspect", order: "bca"},
			{what: "wait", wait: suspicion, state: "a healthy", order: "abc"},
		}},
		{"what is answered badly once is no matter", "pr", true, []step{
			{what: "a cut", times: 4, state: "a healthy", order: "ab"},
			{what: "a ok", order: "ab"},
			{what: "a cut", times: 4, state: "a healthy", order: "ab"},
		}},
		{"five in a row are", "pr", true, []step{
			{what: "a cut", times: 5, state: "a out", order: "b|a"},
		}},
		{"of any sort", "pr", true, []step{
			{what: "a cut", times: 2, order: "ab"},
			{what: "a 503", times: 2, order: "ab"},
			{what: "a cut", state: "a out", order: "b|a"},
		}},
		{"the only master is put out by probes alone", "p", true, []step{
			{what: "a unanswered", times: 20, state: "a suspect", order: "a"},
			{what: "a cut", times: 20, state: "a suspect", order: "a"},
			{what: "a ok", state: "a healthy", order: "a"},
		}},
		{"the last master is never put out for bad answers", "pr", true, []step{
			{what: "a cut", times: 5, state: "a out", order: "b|a"},
			{what: "b cut", times: 50, state: "b healthy", order: "b|a"},
		}},
		{"nor more than half of them", "prrr", true, []step{
			{what: "a 503", times: 5, order: "bcd|a"},
			{what: "b 503", times: 5, order: "cd|ab"},
			{what: "c 503", times: 5, state: "c healthy", order: "cd|ab"},
		}},
		{"nor for not answering", "pr", true, []step{
			{what: "a unanswered", times: 5, state: "a out", order: "b|a"},
			{what: "b unanswered", times: 50, state: "b suspect", order: "b|a"},
			{what: "b cut", times: 50, state: "b suspect", order: "b|a"},
		}},
		{"nor is the one that an operator or probes leave", "prr", true, []step{
			{what: "a unanswered", times: 5, state: "a out", order: "bc|a"},
			{what: "b drain", order: "c|a"},
			{what: "c drain", state: "a suspect", order: "a"},
			{what: "c undrain", order: "ca"},
			{what: "a unanswered", times: 5, state: "a out", order: "c|a"},
			{what: "c unprobed", times: 3, state: "a suspect", order: "a|c"},
			{what: "a unanswered", times: 50, state: "a suspect", order: "a|c"},
		}},
		{"but by probes", "pr", true, []step{
			{what: "a unprobed", times: 3, state: "a out", order: "b|a"},
			{what: "b unprobed", times: 3, state: "b out", order: "|ab"},
		}},
		{"also after requests have", "pr", true, []step{
			{what: "a unanswered", times: 5, state: "a out", order: "b|a"},
			{what: "a unprobed", times: 3, state: "a out", order: "b|a"},
			{what: "b unprobed", times: 3, state: "b out", order: "|ab"},
		}},
		{"probes put out what requests do not meet", "pr", true, []step{
			{what: "a unprobed", times: 2, state: "a healthy", order: "ab"},
			{what: "a probed", order: "ab"},
			{what: "a unprobed", times: 2, order: "ab"},
			{what: "a unprobed", state: "a out", order: "b|a"},
		}},
		{"but not the last, while it answers", "p", true, []step{
			{what: "a unprobed", times: 2, order: "a"},
			{what: "wait", wait: time.Second, order: "a"},
			{what: "a ok", order: "a"},
			{what: "a unprobed", state: "a healthy", order: "a"},
			{what: "a file", order: "a"}, // which says nothing of metadata
			{what: "a unprobed", state: "a out", order: "|a"},
			{what: "wait", wait: time.Second, order: "|a"},
			{what: "a ok", state: "a recovering", order: "a"},
			{what: "a unprobed", state: "a recovering", order: "a"},
			{what: "a unprobed", state: "a out", order: "|a"},
		}},
		{"and bring back, by and by", "pr", true, []step{
			{what: "a unprobed", times: 3, state: "a out", order: "b|a"},
			{what: "a probed", times: 5, state: "a out", order: "ba"}, // not before its rest, but for want of others
			{what: "wait", wait: shortBackoff, state: "a out", order: "ba"},
			{what: "a probed", state: "a recovering", order: "ab"},
			{what: "wait", wait: slowStart, state: "a healthy", order: "ab"},
		}},
		{"one that fails again as it comes back rests longer", "pr", true, []step{
			{what: "a unprobed", times: 3, state: "a out", order: "b|a"},
			{what: "wait", wait: shortBackoff, order: "b|a"},
			{what: "a probed", times: 2, state: "a recovering", order: "ab"},
			{what: "a unanswered", state: "a out", order: "b|a"},
			{what: "wait", wait: shortBackoff, order: "b|a"},
			{what: "a probed", times: 2, state: "a out", order: "ba"},
			{what: "wait", wait: shortBackoff, order: "ba"},
			{what: "a probed", state: "a recovering", order: "ab"},
			{what: "a unprobed", state: "a out", order: "b|a"},
		}},
		{"one that rests is better than none", "pr", true, []step{
			{what: "a cut", times: 5, order: "b|a"},
			{what: "a probed", times: 2, state: "a out", order: "ba"},
			{what: "b unanswered", times: 5, state: "b out", order: "a|b"},
			{what: "a unanswered", times: 50, state: "a out", order: "a|b"},
		}},
		{"in an outage one good probe is enough", "pr", true, []step{
			{what: "a unprobed", times: 3, order: "b|a"},
			{what: "b unprobed", times: 3, order: "|ab"},
			{what: "b probed", state: "b recovering", order: "b|a"},
		}},
		{"and one good answer", "pr", true, []step{
			{what: "a unprobed", times: 3, order: "b|a"},
			{what: "b unprobed", times: 3, order: "|ab"},
			{what: "b unanswered", times: 50, order: "|ab"},
			{what: "b file", state: "b out", order: "|ab"}, // which says nothing of metadata
			{what: "b ok", state: "b recovering", order: "b|a"},
		}},
		{"or where the others are in doubt", "pr", true, []step{
			{what: "a unanswered", times: 5, order: "b|a"},
			{what: "a ok", state: "a out", order: "b|a"},
			{what: "b unanswered", order: "b|a"},
			{what: "a ok", state: "a recovering", order: "ab"},
		}},
		{"without probes it is time that brings back", "pr", false, []step{
			{what: "a unanswered", times: 5, state: "a out", order: "b|a"},
			{what: "b unanswered", times: 5, state: "b suspect", order: "b|a"},
			{what: "wait", wait: shortBackoff, state: "a recovering", order: "ab"},
			{what: "a unanswered", order: "b|a"},
		}},
		{"a spare is asked when no other is healthy", "prs", true, []step{
			{what: "a ok", order: "abc"},
			{what: "a unanswered", order: "bca"},
			{what: "b unanswered", order: "cab"},
			{what: "a unanswered", times: 4, order: "cb|a"},
			{what: "b unanswered", times: 4, order: "c|ab"},
			{what: "wait", wait: shortBackoff, order: "c|ab"},
			{what: "a probed", times: 2, state: "a recovering", order: "ac|b"}, // and hands back
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := groupOf(tt.roles, func(c *Config) {
					if tt.probe {
						c.Probe = Probe{Every: time.Minute, Timeout: time.Second, Fall: 3, Rise: 2}
					}
				})
				for _, s := range tt.steps {
					s.apply(t, g)
				}
			})
		})
	}
}

func TestStatusSaysWhyInWords(t *testing.T) {
	for _, tt := range []struct {
		why string
		do  func(g *Group, m *Master)
	}{
		{"5 requests in a row were cut mid-body", func(g *Group, m *Master) {
			for range 5 {
				g.Failed(m, cutBody)
			}
		}},
		{"5 requests in a row failed, the last was cut mid-body", func(g *Group, m *Master) {
			for range 4 {
				g.Failed(m, answered503)
			}
			g.Failed(m, cutBody)
		}},
		{"5 requests in a row were not answered in time", func(g *Group, m *Master) {
			for range 5 {
				g.Failed(m, unanswered)
			}
		}},
		{"3 probes of /x timed out after 2s", func(g *Group, m *Master) {
			for range 3 {
				g.recordProbe(m, "/x", 0, context.DeadlineExceeded)
			}
		}},
		{"3 probes of /x answered 502", func(g *Group, m *Master) {
			for range 3 {
				g.recordProbe(m, "/x", 0, &transport.StatusError{Status: 502})
			}
		}},
		{"3 probes of /x answered with something that is not JSON", func(g *Group, m *Master) {
			for range 3 {
				g.recordProbe(m, "/x", 0, errProbe)
			}
		}},
		{"3 probes of /x failed: odd", func(g *Group, m *Master) {
			for range 3 {
				g.recordProbe(m, "/x", 0, errors.New("odd"))
			}
		}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := groupOf("pr", func(c *Config) { c.Probe = Probe{Every: time.Minute, Timeout: 2 * time.Second, Fall: 3, Rise: 2} })
				<-time.After(time.Second)
				tt.do(g, g.Primary())
				if got := g.state("a"); got.Why != tt.why || got.State != "out" || !got.Since.Equal(time.Now()) || got.Up() || got.Share != 0 {
					t.Errorf("status %+v; want it out since now, because %q", got, tt.why)
				}
			})
		})
	}
}

// A master is lone once all others are out, or drained, for so long.
func TestLone(t *testing.T) {
	const long = 10 * time.Second
	down := func(g *Group, letters ...string) {
		for _, l := range letters {
			for g.state(l).State != "out" {
				g.Failed(g.named(l), unanswered)
			}
		}
	}
	for _, tt := range []struct {
		name, roles string
		do          func(g *Group)
		wait        time.Duration
		want        bool
	}{
		{"all are well", "pr", func(*Group) {}, long, false},
		{"the primary is out", "pr", func(g *Group) { down(g, "a") }, long, true},
		{"the primary is out since a moment ago", "pr", func(g *Group) { down(g, "a") }, long - 1, false},
		{"the primary is drained", "pr", func(g *Group) { g.Drain("a.example", true) }, long, true},
		{"another replica is well", "prr", func(g *Group) { down(g, "a") }, long, false},
		{"another replica is out as well", "prr", func(g *Group) { down(g, "a", "c") }, long, true},
		{"it is drained itself", "pr", func(g *Group) { down(g, "a"); g.Drain("b.example", true) }, long, false},
		{"the primary is back", "pr", func(g *Group) {
			down(g, "a")
			g.recordProbe(g.named("a"), "/-/ping", 0, nil)
			g.recordProbe(g.named("a"), "/-/ping", 0, nil)
		}, long, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := groupOf(tt.roles, nil)
				tt.do(g)
				<-time.After(tt.wait)
				if got := g.named("b").Lone(long); got != tt.want {
					t.Errorf("lone: %t", got)
				}
				standIn := *g.named("b")
				if standIn.Lone(long) {
					t.Error("a copy of it is lone")
				}
			})
		})
	}
}

// events keeps the log's messages.
type events struct {
	mu  sync.Mutex
	all []string
}

func (e *events) Enabled(context.Context, slog.Level) bool { return true }
func (e *events) WithAttrs([]slog.Attr) slog.Handler       { return e }
func (e *events) WithGroup(string) slog.Handler            { return e }
func (e *events) Handle(_ context.Context, r slog.Record) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.Level > slog.LevelDebug {
		e.all = append(e.all, r.Message)
	}
	return nil
}

func TestOutageBeginsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := &events{}
		g := groupOf("pr", func(c *Config) {
			c.Probe = Probe{Every: time.Minute, Timeout: time.Second, Fall: 1, Rise: 2}
			c.Log = slog.New(heard)
		})
		g.recordProbe(g.masters[0], "/-/ping", 0, context.DeadlineExceeded)
		if !g.Status().Outage.IsZero() {
			t.Error("an outage with a master left")
		}
		g.recordProbe(g.masters[1], "/-/ping", 0, &transport.StatusError{Status: 503})
		<-time.After(7 * time.Second)
		if got := g.Outage(time.Now()); got != 7*time.Second {
			t.Errorf("in an outage for %v; want 7s", got)
		}
		if why := g.Reason(g.masters[1]); !g.Down() || !strings.Contains(why.Error(), "1 probe of /-/ping answered 503") {
			t.Errorf("down %v, because %v", g.Down(), why)
		}
		g.recordProbe(g.masters[1], "/-/ping", 0, nil)
		if got := g.Outage(time.Now()); got != 0 {
			t.Errorf("the outage goes on for %v", got)
		}
		if st := g.Status(); !st.Outage.IsZero() || st.Outages != 1 {
			t.Errorf("%+v", st)
		}
		origintest.Equal(t, "log", heard.all, []string{
			"master is out", "master is out", "outage: every master is out, answering from the store",
			"master is recovering", "outage is over",
		})
	})
}

func TestDrainedMasterGetsNothing(t *testing.T) {
	g := groupOf("prs", nil)
	for _, tt := range []struct {
		name    string
		drained bool
		order   string
	}{
		{"1", true, "ac"},
		{"1", true, "ac"},
		{"a.example", true, "c"},
		{"2", true, ""},
		{"1", false, "b"},
		{"0", false, "ab"},
		{"c.example", false, "abc"},
	} {
		if !g.Drain(tt.name, tt.drained) {
			t.Fatalf("there is no %s", tt.name)
		}
		if got := g.order(); got != tt.order {
			t.Errorf("after Drain(%s, %v): %q; want %q", tt.name, tt.drained, got, tt.order)
		}
	}
	for _, name := range []string{"3", "-1", "", "x.example", "https://a.example"} {
		if g.Drain(name, true) {
			t.Errorf("there is a %q", name)
		}
	}
}

func TestShareGrowsWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf("pr", nil)
		for range inARow {
			g.Failed(g.Primary(), unanswered)
		}
		<-time.After(shortBackoff)
		var got []float64
		g.order()
		for range 4 {
			got = append(got, g.state("a").Share)
			if room := g.limit(g.Primary(), ForFiles); room != max(leastWidth, int(g.state("a").Share*256)) {
				t.Errorf("%d requests at a share of %v", room, g.state("a").Share)
			}
			<-time.After(slowStart / 2)
		}
		// Where no other master can take the rest it has all.
		<-time.After(time.Minute)
		for range inARow {
			g.Failed(g.Primary(), unanswered)
		}
		<-time.After(shortBackoff)
		if g.order(); g.limit(g.Primary(), ForFiles) == 256 {
			t.Error("one that comes back has all at once")
		}
		g.Drain("b.example", true)
		if room := g.limit(g.Primary(), ForFiles); g.state("a").State != "recovering" || room != 256 {
			t.Errorf("the only one has %d", room)
		}
		if want := []float64{0.1, 0.55, 1, 1}; !slices.Equal(got, want) {
			t.Errorf("shares %v; want %v", got, want)
		}
	})
}

// Two masters that come back have all of their places, since neither can take the other's rest.
func TestTwoThatComeBackTakeAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf("prr", nil)
		for _, m := range g.Masters()[:2] {
			for range inARow {
				g.Failed(m, unanswered)
			}
		}
		<-time.After(shortBackoff)
		if g.order(); g.limit(g.Primary(), ForMetadata) == maxConcurrent[ForMetadata] {
			t.Error("a healthy master can take the rest")
		}
		g.Drain("c.example", true)
		for _, m := range g.Masters()[:2] {
			if got := g.limit(m, ForMetadata); got != maxConcurrent[ForMetadata] {
				t.Errorf("%s may have %d requests", m.Name(), got)
			}
		}
	})
}

// A request that has waited its time at a master that comes back is let in: the limit of a slow
// start refuses nobody.
func TestSlowStartRefusesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf("pr", nil)
		for range inARow {
			g.Failed(g.Primary(), unanswered)
		}
		<-time.After(shortBackoff)
		g.order()
		limit := g.limit(g.Primary(), ForMetadata)
		for range limit {
			if err := g.Acquire(t.Context(), anyone, g.Primary(), ForMetadata, 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.Acquire(t.Context(), anyone, g.Primary(), ForMetadata, 0); !errors.Is(err, ErrBusy) {
			t.Errorf("one that does not wait: %v", err)
		}
		begun := time.Now()
		if err := g.Acquire(t.Context(), anyone, g.Primary(), ForMetadata, time.Second); err != nil || time.Since(begun) != time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		for range maxConcurrent[ForMetadata] - limit - 1 {
			if err := g.Acquire(t.Context(), anyone, g.Primary(), ForMetadata, time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.Acquire(t.Context(), anyone, g.Primary(), ForMetadata, time.Second); !errors.Is(err, ErrBusy) {
			t.Errorf("one beyond the most: %v", err)
		}
	})
}
