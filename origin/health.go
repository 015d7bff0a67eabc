package origin

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"pkgedge/origin/kind"
)

// state is what a master is trusted with.
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
	// ramp is how long a master that was out takes to get its full share again,
	// and least is the share it begins with.
	ramp  = 10 * time.Second
	least = 0.1
	// A master that requests put out stays there for a rest, longer each time
	// until it has been well for a while.
	shortRest = 5 * time.Second
	longRest  = time.Minute
	wellFor   = time.Minute
)

// health is what is known of a master. The pool's mu guards it.
type health struct {
	heard   time.Time // when it last gave a client a document that could be probed with
	state   state
	since   time.Time
	why     string
	drained time.Time // when an operator took it out of rotation; zero when not

	row        int // requests in a row that failed,
	alike      int // the last of them in the same way,
	unanswered int // and without an answer
	last       fault

	until time.Time // the end of its rest
	rests int       // lately

	bad, good int // probes in a row
	probe     probed
}

// probed is what the last probe found.
type probed struct {
	beat time.Time // when the probe loop was last seen
	at   time.Time
	path string
	err  string // in words; "" when it was well
}

// update changes the state of masters, and tells of what follows.
func (p *pool) update(change func(now time.Time)) {
	p.mu.Lock()
	now := time.Now()
	change(now)
	p.review(now)
	news := p.news
	p.news = nil
	p.mu.Unlock()
	for _, n := range news {
		p.log.LogAttrs(context.Background(), n.level, n.text, n.attrs...)
	}
}

// news is a line of the log, written when no lock is held any more.
type news struct {
	level slog.Level
	text  string
	attrs []slog.Attr
}

func (p *pool) tell(level slog.Level, text string, attrs ...slog.Attr) {
	p.news = append(p.news, news{level, text, append([]slog.Attr{slog.String("site", p.site), slog.String("pool", p.name)}, attrs...)})
}

// review lets time do its part, and finds out whether any master is left. p.mu
// is held.
func (p *pool) review(now time.Time) {
	left := false
	for _, m := range p.masters {
		switch {
		case m.state == suspect && now.Sub(m.since) >= suspicion, m.state == recovering && now.Sub(m.since) >= ramp:
			p.enter(m, healthy, "", now)
		case m.state == out && !p.probes() && !now.Before(m.until):
			p.enter(m, recovering, m.why, now)
		}
		left = left || p.usable(m)
	}
	switch {
	case !left && p.down.IsZero():
		p.down = now
		p.downAt.Store(now.UnixNano())
		p.outages++
		p.tell(slog.LevelError, "outage: every master is out, answering from the store", slog.String("why", p.masters[0].because()))
		for _, m := range p.masters {
			m.hurry()
		}
	case left && !p.down.IsZero():
		p.tell(slog.LevelWarn, "outage is over", slog.Duration("took", now.Sub(p.down)))
		p.down = time.Time{}
		p.downAt.Store(0)
	}
}

// usable: the master may be asked. p.mu is held.
func (p *pool) usable(m *master) bool { return m.drained.IsZero() && (m.state != out || p.resting(m)) }

// resting: the master is out, but its last probe was well, so that it may be
// asked before there is no answer at all. p.mu is held.
func (p *pool) resting(m *master) bool { return m.state == out && m.good > 0 }

// because says why the master is not asked. The pool's mu is held.
func (m *master) because() string {
	if !m.drained.IsZero() {
		return "drained by an operator"
	}
	return m.why
}

// enter changes a master's state. p.mu is held.
func (p *pool) enter(m *master, s state, why string, now time.Time) {
	level := slog.LevelInfo
	switch {
	case s == out:
		level = slog.LevelWarn
	case s == suspect, m.state == suspect:
		level = slog.LevelDebug
	}
	p.tell(level, "master is "+s.String(), slog.String("master", m.name), slog.String("why", why))
	m.state, m.since, m.why = s, now, why
}

// eject puts a master out. p.mu is held.
func (p *pool) eject(m *master, why string, now time.Time) {
	if m.state == healthy && now.Sub(m.since) >= wellFor {
		m.rests = 0
	}
	m.until = now.Add(min(shortRest<<min(m.rests, 10), longRest))
	m.rests++
	m.good = 0
	p.enter(m, out, why, now)
	// Who waits for room there may be answered elsewhere. A write may not.
	m.rooms[forMetadata].dismiss()
	m.rooms[forFiles].dismiss()
}

// dispensable: the pool can do without the master. Requests that are answered,
// however badly, put out half of the masters at most, and never the last one:
// what is wrong may be one package, or all of them alike. p.mu is held.
func (p *pool) dispensable(m *master) bool {
	gone, others := 1, 0
	for _, o := range p.masters {
		switch {
		case o == m:
		case o.state == out:
			gone++
		case p.usable(o) && o.state != suspect:
			others++
		}
	}
	return others > 0 && gone <= max(1, len(p.masters)/2)
}

// failed notes that a request to a master failed, by the master's fault.
func (p *pool) failed(m *master, f fault) {
	p.update(func(now time.Time) {
		m.row++
		m.alike++
		if f != m.last {
			m.alike, m.last = 1, f
		}
		m.unanswered++
		if !f.unanswered {
			m.unanswered = 0
		}
		switch enough := m.row >= inARow; {
		case m.state == out: // asked as a last resort, which it was not
			m.good = 0
		case m.state == recovering && (f.unanswered || p.dispensable(m)):
			p.eject(m, "came back, and a request was "+f.words, now)
		case enough && (m.unanswered >= inARow || p.dispensable(m)):
			p.eject(m, m.streak(), now)
		case f.unanswered && m.state == healthy:
			p.enter(m, suspect, "a request was "+f.words, now)
			m.hurry()
		case f.unanswered && m.state == suspect:
			m.since = now
		}
	})
}

// streak puts the requests that failed in words.
func (m *master) streak() string {
	if m.alike >= m.row {
		return fmt.Sprintf("%d requests in a row were %s", m.row, m.last.words)
	}
	return fmt.Sprintf("%d requests in a row failed, the last was %s", m.row, m.last.words)
}

// answered notes that a master did what it is there for.
func (p *pool) answered(m *master) {
	p.update(func(now time.Time) {
		m.row, m.alike, m.unanswered = 0, 0, 0
		if m.state == suspect {
			p.enter(m, healthy, "", now)
		}
	})
}

// checked notes the result of a probe. In an outage one that is well is enough,
// for any master is better than none.
func (p *pool) checked(m *master, path string, err error) {
	p.update(func(now time.Time) {
		m.probe.at, m.probe.path, m.probe.err = now, path, ""
		if err == nil {
			m.bad = 0
			m.good++
			if m.state == out && (!p.down.IsZero() || m.good >= p.probe.Rise && !now.Before(m.until)) {
				p.enter(m, recovering, m.why, now)
			}
			return
		}
		m.probe.err = p.probeWords(err)
		m.good = 0
		m.bad++
		if m.state != out && (m.bad >= p.probe.Fall || m.state == recovering) {
			p.eject(m, fmt.Sprintf("%s of %s %s", count(m.bad, "probe"), path, m.probe.err), now)
		}
	})
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// share is the part of its usual load that a master gets. The pool's mu is held.
func (m *master) share(now time.Time) float64 {
	switch m.state {
	case healthy, suspect:
		return 1
	case out:
		return least
	}
	return min(1, least+(1-least)*float64(now.Sub(m.since))/float64(ramp))
}

// Outage is for how long no master for a class of requests could be asked, 0
// when one can.
func (s *Site) Outage(c kind.Class, now time.Time) time.Duration {
	p := s.pool
	if c == kind.File {
		p = s.files
	}
	at := p.downAt.Load()
	if at == 0 {
		return 0
	}
	return max(0, time.Duration(now.UnixNano()-at))
}

// Drain takes a master out of rotation, or back in. Requests under way finish; a
// drained primary takes no writes either. The name is the master's number in
// [Site.Status], or the host of its URL. The error wraps ErrUnknownMaster.
func (s *Site) Drain(name string, drained bool) error {
	found := false
	for _, p := range s.pools() {
		p.update(func(now time.Time) {
			for _, m := range p.masters {
				if !m.named(name) {
					continue
				}
				found = true
				if drained == m.drained.IsZero() {
					m.drained = time.Time{}
					word := "back in rotation"
					if drained {
						m.drained, word = now, "drained"
					}
					p.tell(slog.LevelInfo, "master is "+word, slog.String("master", m.name))
				}
			}
		})
	}
	if !found {
		return fmt.Errorf("%w: %q", ErrUnknownMaster, name)
	}
	return nil
}

func (m *master) named(name string) bool {
	return name == fmt.Sprint(m.n) || name == m.base.Host || name == m.base.Hostname()
}

// pools are the site's, that of its files last.
func (s *Site) pools() []*pool {
	if s.files == s.pool {
		return []*pool{s.pool}
	}
	return []*pool{s.pool, s.files}
}
