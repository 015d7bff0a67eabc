package origin

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

	"pkgedge/origin/kind"
	"pkgedge/origin/npm"
	"pkgedge/origin/transport"
)

var (
	unanswered  = fault{"not answered in time", true}
	cutBody     = fault{"cut mid-body", false}
	answered503 = fault{"answered 503", false}
)

// roles are those of masters named a, b, c, … in that order: primary, replica
// and spare.
func poolOf(roles string, change func(*Config)) *pool {
	var masters []Upstream
	for i, r := range roles {
		u := &url.URL{Scheme: "https", Host: string(rune('a'+i)) + ".example"}
		masters = append(masters, Upstream{URL: u, Primary: r == 'p', Spare: r == 's'})
	}
	cfg := Config{Site: "npm", Kind: npm.Descriptor()}
	if change != nil {
		change(&cfg)
	}
	p := newPool(cfg, poolOfAll, masters, 0)
	p.random = func(int) int { return 0 }
	return p
}

// called is the master of that letter.
func (p *pool) called(letter string) *master {
	i := slices.IndexFunc(p.masters, func(m *master) bool { return m.base.Host == letter+".example" })
	return p.masters[i]
}

// asked are the letters of the masters in the order in which a read asks them,
// with a bar before those that are not expected to answer.
func (p *pool) asked(a Ask) string {
	return letters(p.order(&a))
}

func letters(order []*master, usable int) string {
	var b strings.Builder
	for i, m := range order {
		if i == usable {
			b.WriteByte('|')
		}
		b.WriteString(m.base.Host[:1])
	}
	return b.String()
}

func (p *pool) state(letter string) MasterStatus {
	for _, m := range p.status().Masters {
		if strings.Contains(m.URL, "//"+letter+".") {
			return m
		}
	}
	return MasterStatus{}
}

// step is something that happens to a master, named by its letter, and then how
// it stands and the order in which masters are asked.
type step struct {
	what  string // "a unanswered", "a cut", "a 503", "a ok", "a probed", "a unprobed", "a drain", "a undrain" or "wait"
	times int
	wait  time.Duration
	state string // of the master
	order string
}

func (s step) apply(t *testing.T, p *pool) {
	if s.what == "wait" {
		<-time.After(s.wait)
	}
	letter, what, _ := strings.Cut(s.what, " ")
	for range max(1, s.times) {
		switch what {
		case "unanswered":
			p.failed(p.called(letter), unanswered)
		case "cut":
			p.failed(p.called(letter), cutBody)
		case "503":
			p.failed(p.called(letter), answered503)
		case "ok":
			p.answered(p.called(letter))
		case "probed":
			p.checked(p.called(letter), "/-/ping", nil)
		case "unprobed":
			p.checked(p.called(letter), "/-/ping", context.DeadlineExceeded)
		}
	}
	if s.state != "" {
		name, want, _ := strings.Cut(s.state, " ")
		if got := p.state(name).State; got != want {
			t.Errorf("after %s: %s is %s, want %s", s.what, name, got, want)
		}
	}
	if got := p.asked(Ask{}); got != s.order {
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
		{"the last master is never put out for bad answers", "pr", true, []step{
			{what: "a cut", times: 5, state: "a out", order: "b|a"},
			{what: "b cut", times: 50, state: "b healthy", order: "b|a"},
		}},
		{"nor more than half of them", "prrr", true, []step{
			{what: "a 503", times: 5, order: "bcd|a"},
			{what: "b 503", times: 5, order: "cd|ab"},
			{what: "c 503", times: 5, state: "c healthy", order: "cd|ab"},
		}},
		{"but all are out that do not answer", "pr", true, []step{
			{what: "a unanswered", times: 5, state: "a out", order: "b|a"},
			{what: "b unanswered", times: 4, state: "b suspect", order: "b|a"},
			{what: "b unanswered", state: "b out", order: ""},
		}},
		{"probes put out what requests do not meet", "pr", true, []step{
			{what: "a unprobed", times: 2, state: "a healthy", order: "ab"},
			{what: "a probed", order: "ab"},
			{what: "a unprobed", times: 2, order: "ab"},
			{what: "a unprobed", state: "a out", order: "b|a"},
		}},
		{"and bring back, by and by", "pr", true, []step{
			{what: "a unprobed", times: 3, state: "a out", order: "b|a"},
			{what: "a probed", times: 5, state: "a out", order: "ba"}, // not before its rest, but for want of others
			{what: "wait", wait: shortRest, state: "a out", order: "ba"},
			{what: "a probed", state: "a recovering", order: "ab"},
			{what: "wait", wait: ramp, state: "a healthy", order: "ab"},
		}},
		{"one that fails again as it comes back rests longer", "pr", true, []step{
			{what: "a unprobed", times: 3, state: "a out", order: "b|a"},
			{what: "wait", wait: shortRest, order: "b|a"},
			{what: "a probed", times: 2, state: "a recovering", order: "ab"},
			{what: "a unanswered", state: "a out", order: "b|a"},
			{what: "wait", wait: shortRest, order: "b|a"},
			{what: "a probed", times: 2, state: "a out", order: "ba"},
			{what: "wait", wait: shortRest, order: "ba"},
			{what: "a probed", state: "a recovering", order: "ab"},
			{what: "a unprobed", state: "a out", order: "b|a"},
		}},
		{"one that rests is better than none", "pr", true, []step{
			{what: "a cut", times: 5, order: "b|a"},
			{what: "a probed", times: 2, state: "a out", order: "ba"},
			{what: "b unanswered", times: 5, state: "b out", order: "a|b"},
			{what: "a unanswered", state: "a out", order: ""},
		}},
		{"in an outage one good probe is enough", "pr", true, []step{
			{what: "a unanswered", times: 5, order: "b|a"},
			{what: "b unanswered", times: 5, order: ""},
			{what: "b probed", state: "b recovering", order: "b|a"},
		}},
		{"without probes it is time that brings back", "pr", false, []step{
			{what: "a unanswered", times: 5, state: "a out", order: "b|a"},
			{what: "b unanswered", times: 5, state: "b out", order: ""},
			{what: "wait", wait: shortRest, state: "a recovering", order: "ab"},
			{what: "a unanswered", order: "b|a"},
		}},
		{"a spare is asked when no other is healthy", "prs", true, []step{
			{what: "a ok", order: "abc"},
			{what: "a unanswered", order: "bca"},
			{what: "b unanswered", order: "cab"},
			{what: "a unanswered", times: 4, order: "cb|a"},
			{what: "b unanswered", times: 4, order: "c|ab"},
			{what: "wait", wait: shortRest, order: "c|ab"},
			{what: "a probed", times: 2, state: "a recovering", order: "ac|b"}, // and hands back
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := poolOf(tt.roles, func(c *Config) {
					if tt.probe {
						c.Probe = Probe{Every: time.Minute, Timeout: time.Second, Fall: 3, Rise: 2}
					}
				})
				for _, s := range tt.steps {
					s.apply(t, p)
				}
			})
		})
	}
}

func TestStatusSaysWhyInWords(t *testing.T) {
	for _, tt := range []struct {
		why string
		do  func(p *pool, m *master)
	}{
		{"5 requests in a row were cut mid-body", func(p *pool, m *master) {
			for range 5 {
				p.failed(m, cutBody)
			}
		}},
		{"5 requests in a row failed, the last was cut mid-body", func(p *pool, m *master) {
			for range 4 {
				p.failed(m, answered503)
			}
			p.failed(m, cutBody)
		}},
		{"5 requests in a row were not answered in time", func(p *pool, m *master) {
			for range 5 {
				p.failed(m, unanswered)
			}
		}},
		{"3 probes of /x timed out after 2s", func(p *pool, m *master) {
			for range 3 {
				p.checked(m, "/x", context.DeadlineExceeded)
			}
		}},
		{"3 probes of /x answered 502", func(p *pool, m *master) {
			for range 3 {
				p.checked(m, "/x", &transport.StatusError{Status: 502})
			}
		}},
		{"3 probes of /x answered with something that is not JSON", func(p *pool, m *master) {
			for range 3 {
				p.checked(m, "/x", errProbe)
			}
		}},
		{"3 probes of /x failed: odd", func(p *pool, m *master) {
			for range 3 {
				p.checked(m, "/x", errors.New("odd"))
			}
		}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := poolOf("pr", func(c *Config) { c.Probe = Probe{Every: time.Minute, Timeout: 2 * time.Second, Fall: 3, Rise: 2} })
				<-time.After(time.Second)
				tt.do(p, p.primary())
				if got := p.state("a"); got.Why != tt.why || got.State != "out" || !got.Since.Equal(time.Now()) || got.Up() || got.Share != 0 {
					t.Errorf("status %+v; want it out since now, because %q", got, tt.why)
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
		p := poolOf("pr", func(c *Config) {
			c.Probe = Probe{Every: time.Minute, Timeout: time.Second, Fall: 1, Rise: 2}
			c.Log = slog.New(heard)
		})
		s := &Site{pool: p, files: p}
		p.checked(p.masters[0], "/-/ping", context.DeadlineExceeded)
		if !p.status().Outage.IsZero() {
			t.Error("an outage with a master left")
		}
		p.checked(p.masters[1], "/-/ping", &transport.StatusError{Status: 503})
		<-time.After(7 * time.Second)
		if got := s.Outage(kind.Metadata, time.Now()); got != 7*time.Second {
			t.Errorf("in an outage for %v; want 7s", got)
		}
		begun := time.Now()
		err := p.each(t.Context(), Ask{}, nil) // nobody is asked
		if u := isUnavailable(t, err); !errors.Is(err, ErrOutage) || u.Timeout || time.Since(begun) != 0 ||
			!strings.Contains(err.Error(), "https://b.example: 1 probe of /-/ping answered 503") {
			t.Errorf("err = %v", err)
		}
		p.checked(p.masters[1], "/-/ping", nil)
		if got := s.Outage(kind.Metadata, time.Now()); got != 0 {
			t.Errorf("the outage goes on for %v", got)
		}
		if st := p.status(); !st.Outage.IsZero() || st.Outages != 1 {
			t.Errorf("%+v", st)
		}
		equal(t, "log", heard.all, []string{
			"master is out", "master is out", "outage: every master is out, answering from the store",
			"master is recovering", "outage is over",
		})
	})
}

func TestDrainedMasterGetsNothing(t *testing.T) {
	p := poolOf("prs", nil)
	s := &Site{pool: p, files: p}
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
		if err := s.Drain(tt.name, tt.drained); err != nil {
			t.Fatal(err)
		}
		if got := p.asked(Ask{}); got != tt.order {
			t.Errorf("after Drain(%s, %v): %q; want %q", tt.name, tt.drained, got, tt.order)
		}
	}
	for _, name := range []string{"3", "-1", "", "x.example", "https://a.example"} {
		if err := s.Drain(name, true); !errors.Is(err, ErrUnknownMaster) {
			t.Errorf("Drain(%q): %v", name, err)
		}
	}
}

func TestShareGrowsWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("pr", nil)
		for range inARow {
			p.failed(p.primary(), unanswered)
		}
		<-time.After(shortRest)
		var got []float64
		p.order(&Ask{})
		for range 4 {
			got = append(got, p.state("a").Share)
			if room := p.roomAt(p.primary(), forFiles); room != max(leastRoom, int(p.state("a").Share*256)) {
				t.Errorf("%d requests at a share of %v", room, p.state("a").Share)
			}
			<-time.After(ramp / 2)
		}
		if want := []float64{0.1, 0.55, 1, 1}; !slices.Equal(got, want) {
			t.Errorf("shares %v; want %v", got, want)
		}
		// Early in the ramp it is mostly passed over.
		for range inARow {
			p.failed(p.primary(), unanswered)
		}
		<-time.After(2 * shortRest)
		p.random = func(n int) int { return n * 9 / 10 }
		if got := p.asked(Ask{}); got != "ba" {
			t.Errorf("order %q; want ba", got)
		}
	})
}
