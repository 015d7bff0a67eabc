package health

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"pkgedge/origin/kind"
)

// state is a master's place in the rotation.
type state uint8

const (
	healthy    state = iota // asked like the others
	suspect                 // did not answer just now: asked after the others, for a while
	recovering              // was out: asked a little, and then more
	out                     // not asked while another one can be
)

func (s state) String() string {
	return [...]string{"healthy", "suspect", "recovering", "out"}[s]
}

const (
	// inARow is how many requests in a row put a master out when they fail.
	inARow = 5
	// suspicion is how long a master that did not answer is asked last.
	suspicion = 5 * time.Second
	// slowStart is how long a master that was out takes to get its full share
	// again, and firstShare is the share it begins with.
	slowStart  = 10 * time.Second
	firstShare = 0.1
	// An ejected master stays out for a backoff, which doubles with each ejection
	// until the master has been well for a while.
	shortBackoff = 5 * time.Second
	longBackoff  = time.Minute
	wellFor      = time.Minute
	// smallest is the size from which a document is too long to probe with.
	smallest = 64 << 10
)

// trust is the knowledge of a master's health. shared.mu guards it.
type trust struct {
	heard   time.Time // when it last gave a client a document that could be probed with
	state   state
	since   time.Time
	why     string
	drained time.Time // when an operator took it out of rotation; zero when not

	row        int // requests in a row that failed,
	alike      int // the last of them in the same way,
	unanswered int // and without an answer
	last       Blame
	answered   time.Time // when it last answered one that tells how it is

	until     time.Time // the end of the backoff
	ejections int       // lately
	proven    bool      // probes say that it is out, not requests alone

	bad, good int // probes in a row
	probe     probed
	probes    probeLog
}

// probed is the result of the last probe.
type probed struct {
	beat time.Time // when the probe loop was last seen
	at   time.Time
	path string
	err  string // in words; "" when it was well
}

// update changes the state of masters, and logs the consequences.
func (g *Group) update(change func(now time.Time)) {
	g.mu.Lock()
	now := time.Now()
	change(now)
	g.review(now)
	// Requests that wait for a place at a master that went out may be answered elsewhere;
	// or not, if this is an outage now. A write may not.
	for _, m := range g.ejected {
		m.limiters[ForMetadata].dismiss()
		m.limiters[ForFiles].dismiss()
	}
	g.ejected = nil
	notices := g.notices
	g.notices = nil
	g.mu.Unlock()
	for _, n := range notices {
		g.cfg.Log.LogAttrs(context.Background(), n.level, n.text, n.attrs...)
	}
}

// notice is a line of the log, written when no lock is held any more.
type notice struct {
	level slog.Level
	text  string
	attrs []slog.Attr
}

func (g *Group) log(level slog.Level, text string, attrs ...slog.Attr) {
	g.notices = append(g.notices, notice{level, text, append([]slog.Attr{slog.String("site", g.cfg.Site), slog.String("pool", g.cfg.Pool)}, attrs...)})
}

// review lets time do its part, and finds out whether any master is left. g.mu
// is held.
func (g *Group) review(now time.Time) {
	left, trusted, sooner := false, false, g.probedSooner
	for _, m := range g.masters {
		switch {
		case m.state == suspect && now.Sub(m.since) >= suspicion, m.state == recovering && now.Sub(m.since) >= slowStart:
			g.setState(m, healthy, "", now)
		case m.state == out && !g.probes() && !now.Before(m.until):
			g.setState(m, recovering, m.why, now)
		}
		left, trusted = left || g.usable(m), trusted || g.trusted(m)
	}
	if !left {
		left = g.readmit(now)
	}
	if g.probedSooner = !trusted; g.probedSooner && !sooner {
		for _, m := range g.masters {
			m.probeNow()
		}
	}
	switch {
	case !left && g.down.IsZero():
		g.down = now
		g.DownAt.Store(now.UnixNano())
		if g.closed {
			break // the group that serves tells
		}
		g.outages++
		g.log(slog.LevelError, "outage: every master is out, answering from the store", slog.String("why", g.masters[0].reason()))
	case left && !g.down.IsZero():
		if !g.closed {
			g.log(slog.LevelWarn, "outage is over", slog.Duration("took", now.Sub(g.down)))
		}
		g.down = time.Time{}
		g.DownAt.Store(0)
	}
}

// usable: the master may be asked. g.mu is held.
func (g *Group) usable(m *Master) bool {
	return m.drained.IsZero() && (m.state != out || m.backingOff())
}

// trusted: the master is expected to answer. g.mu is held.
func (g *Group) trusted(m *Master) bool {
	return m.drained.IsZero() && (m.state == healthy || m.state == recovering)
}

// last reports whether no other master may be asked. Requests never put that one out,
// only probes do: a client can ask for URLs at which it breaks every connection, and
// without it there is no answer at all. nginx ignores max_fails of a single server for
// the same reason. g.mu is held.
func (g *Group) last(m *Master) bool {
	return !slices.ContainsFunc(g.masters, func(o *Master) bool { return o != m && g.usable(o) })
}

// readmit takes masters back that requests alone have put out, when no other is left:
// they were put out while there was one. g.mu is held.
func (g *Group) readmit(now time.Time) (any bool) {
	for _, m := range g.masters {
		if m.drained.IsZero() && m.state == out && !m.proven {
			g.setState(m, suspect, m.why, now)
			any = true
		}
	}
	return any
}

// backingOff: the master is out, but its last probe was well, so that it may be
// asked before there is no answer at all. shared.mu is held.
func (t *trust) backingOff() bool { return t.state == out && t.good > 0 }

// outSince is when a master that is not usable went out. shared.mu is held.
func (t *trust) outSince() time.Time {
	if !t.drained.IsZero() && t.state != out {
		return t.drained
	}
	return t.since
}

// reason says why the master is not asked. The pool's mu is held.
func (m *Master) reason() string {
	if !m.drained.IsZero() {
		return "drained by an operator"
	}
	return m.why
}

// setState changes a master's state. g.mu is held.
func (g *Group) setState(m *Master, s state, why string, now time.Time) {
	level := slog.LevelInfo
	switch {
	case s == out:
		level = slog.LevelWarn
	case s == suspect, m.state == suspect:
		level = slog.LevelDebug
	}
	g.log(level, "master is "+s.String(), slog.String("master", m.name), slog.String("why", why))
	m.state, m.since, m.why, m.proven = s, now, why, false
}

// eject puts a master out. g.mu is held.
func (g *Group) eject(m *Master, why string, now time.Time) {
	if m.state == healthy && now.Sub(m.since) >= wellFor {
		m.ejections = 0
	}
	m.until = now.Add(min(shortBackoff<<min(m.ejections, 10), longBackoff))
	m.ejections++
	m.good = 0
	g.setState(m, out, why, now)
	g.ejected = append(g.ejected, m)
}

// canEject says whether the pool can do without the master. Requests that are answered,
// however badly, put out half of the masters at most, and never the last one:
// one package may be at fault, or all masters alike. g.mu is held.
func (g *Group) canEject(m *Master) bool {
	gone, others := 1, 0
	for _, o := range g.masters {
		switch {
		case o == m:
		case o.state == out:
			gone++
		case g.usable(o) && o.state != suspect:
			others++
		}
	}
	return others > 0 && gone <= max(1, len(g.masters)/2)
}

// Failed notes that a request to a master failed, if that was the master's fault.
func (g *Group) Failed(m *Master, f *Blame) {
	if !f.Guilty() {
		return
	}
	g.update(func(now time.Time) {
		if f.Unsure {
			m.probeNow()
			return
		}
		m.row++
		m.alike++
		if !f.alike(&m.last) {
			m.alike, m.last = 1, Blame{Did: f.Did, Unanswered: f.Unanswered}
		}
		m.unanswered++
		if !f.Unanswered {
			m.unanswered = 0
		}
		silent := f.Unanswered || f.Stalled // a hang, which costs each request a wait
		switch enough, last := m.row >= inARow, g.last(m); {
		case m.state == out: // asked as a last resort, which it was not
			if !last {
				m.good = 0
			}
		case m.state == recovering && (f.Unanswered && !last || g.canEject(m)):
			g.eject(m, "came back, and a request was "+f.Did, now)
		case enough && (m.unanswered >= inARow && !last || g.canEject(m)):
			g.eject(m, m.streak(), now)
		case silent && m.state == healthy:
			g.setState(m, suspect, "a request was "+f.Did, now)
			m.probeNow()
		case silent && m.state == suspect:
			m.since = now
		}
	})
}

// streak puts the requests that failed in words.
func (m *Master) streak() string {
	if m.alike >= m.row {
		return fmt.Sprintf("%d requests in a row were %s", m.row, m.last.Did)
	}
	return fmt.Sprintf("%d requests in a row failed, the last was %s", m.row, m.last.Did)
}

// Answered notes that a master gave a usable answer to a request of a class. Where no
// master is trusted that is enough to bring it back, as one good probe is in an outage.
func (g *Group) Answered(m *Master, c Class) {
	g.update(func(now time.Time) {
		m.row, m.alike, m.unanswered = 0, 0, 0
		g.trickles[c].answered = now
		if g.tells(c) {
			m.answered = now
		}
		switch {
		case m.state == suspect:
			g.setState(m, healthy, "", now)
		case m.state == out && g.tells(c) && !slices.ContainsFunc(g.masters, g.trusted):
			g.setState(m, recovering, m.why, now)
		}
	})
}

// tells says whether a class of requests shows that a master is well. Files do not where
// the pool has metadata: a registry whose database hangs goes on sending them.
func (g *Group) tells(c Class) bool {
	return c == ForMetadata || g.cfg.Files || g.cfg.ProbePath == nil
}

// document is the smallest one that a master gave us of late.
type document struct {
	path string
	size int64
}

// Learn notes a document that could be probed with. A private one is a client's
// alone.
func (g *Group) Learn(m *Master, r kind.Route, private bool, size int64) {
	if private || g.cfg.Probe.Path != "" && !g.cfg.Files || r.Transparent || !g.probes() {
		return
	}
	path := r.Path
	if !g.cfg.Files {
		if size > smallest || g.cfg.ProbePath == nil {
			return
		}
		if path = g.cfg.ProbePath(r); path == "" {
			return
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m.heard = time.Now()
	if known := g.known(); known == "" || size < g.probeWith.size {
		g.probeWith = document{path, size}
	}
}

// known is the path of the document to probe with, "" for none. g.mu is held.
func (g *Group) known() string {
	if path := g.probeWith.path; path != "" && (g.cfg.Owns == nil || g.cfg.Owns(path)) {
		return path
	}
	return ""
}

// probes: there is something to probe with, sooner or later.
func (g *Group) probes() bool {
	return g.cfg.Probe.Every > 0 && (g.cfg.Probe.Path != "" || g.cfg.Ping != "" || g.cfg.Files)
}

// recordProbe notes the result of a probe. In an outage one that is well is enough,
// for any master is better than none. The last master that may be asked is not put out
// while it answers requests between the probes: those look at one path.
func (g *Group) recordProbe(m *Master, path string, took time.Duration, err error) {
	g.update(func(now time.Time) {
		m.probes.add(took, err == nil)
		contradicted := m.answered.After(m.probe.at) && g.last(m)
		m.probe.at, m.probe.path, m.probe.err = now, path, ""
		if err == nil {
			m.bad = 0
			m.good++
			if m.state == out && (!g.down.IsZero() || m.good >= g.cfg.Probe.Rise && !now.Before(m.until)) {
				g.setState(m, recovering, m.why, now)
			}
			return
		}
		m.probe.err = g.probeWords(err)
		m.good = 0
		m.bad++
		if m.state != out && (m.bad >= g.cfg.Probe.Fall || m.state == recovering) && !contradicted {
			g.eject(m, fmt.Sprintf("%s of %s %s", count(m.bad, "probe"), path, m.probe.err), now)
			m.proven = true
		}
		m.proven = m.proven || m.state == out && m.bad >= g.cfg.Probe.Fall
	})
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// share is the part of its usual load that a master gets. The pool's mu is held.
func (m *Master) share(now time.Time) float64 {
	switch m.state {
	case healthy, suspect:
		return 1
	case out:
		return firstShare
	}
	return min(1, firstShare+(1-firstShare)*float64(now.Sub(m.since))/float64(slowStart))
}
