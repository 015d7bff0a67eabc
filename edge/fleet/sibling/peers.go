package sibling

import (
	"sync"
	"time"
)

// peers remember how the members were when they were last asked. A member that fails twice in
// a row is out: its keys have another owner until its backoff ends. Then one request a second
// tries it. Silence puts out none that was heard a moment ago: it is busy, or this edge is.
type peers struct {
	mu sync.Mutex
	of map[string]*peer // by address; only those that there is something to remember of

	self string // this edge's address, as it has answered itself; "" where it is not known
}

type peer struct {
	heard     time.Time // when it last sent anything
	failed    time.Time // the last failure
	failures  int       // in a row
	until     time.Time
	ejections int
	trial     bool // it is tried again
}

const (
	inARow       = 2
	shortBackoff = 5 * time.Second
	longBackoff  = time.Minute
	trialEvery   = time.Second
	aMoment      = time.Second
	busyTimes    = 3
	// maxPeers bounds the memory, for addresses come and go.
	maxPeers = 1024
)

// usable says whether a member counts as an owner. It does not take its turn for a trial.
func (p *peers) usable(member string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.of[member]
	return m == nil || m.failures < inARow || !now.Before(m.until)
}

// begin says whether a member may be asked now, and takes the turn of one that was out.
func (p *peers) begin(member string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.of[member]
	if m == nil || m.failures < inARow {
		return true
	}
	if now.Before(m.until) {
		return false
	}
	m.until, m.trial = now.Add(trialEvery), true
	return true
}

// heard notes that a member has sent something.
func (p *peers) heard(member string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.get(member).heard = now
}

// answered notes that a member has answered a request that began at a time. It has not shown to
// be well where another one has failed since.
func (p *peers) answered(member string, begun, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.get(member); begun.After(m.failed) {
		*m = peer{heard: now}
	}
}

// patience is how long a member may be silent: one that was heard a moment ago is alive, and
// has more to do than it can.
func (p *peers) patience(member string, silence time.Duration, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.of[member]; m != nil && now.Sub(m.heard) < aMoment {
		return busyTimes * silence
	}
	return silence
}

// failed notes a failure, and says whether the member is out with it, and for how long. silent
// says that nothing came in time.
func (p *peers) failed(member string, silent bool, now time.Time) (out time.Duration, ejected bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.get(member)
	if silent && now.Sub(m.heard) < aMoment {
		return 0, false
	}
	m.failed = now
	if m.failures >= inARow && !m.trial { // the request was under way when others failed
		return 0, false
	}
	m.trial = false
	if m.failures++; m.failures < inARow {
		return 0, false
	}
	out = min(shortBackoff<<min(m.ejections, 8), longBackoff)
	m.ejections++
	m.until = now.Add(out)
	return out, m.failures == inARow
}

// isSelf notes that an address is this edge's own.
func (p *peers) isSelf(member string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.self = member
	delete(p.of, member)
}

// own is this edge's address, "" where it is not known.
func (p *peers) own() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.self
}

// get makes a memory of a member. p.mu is held.
func (p *peers) get(member string) *peer {
	if p.of == nil || len(p.of) >= maxPeers {
		p.of = make(map[string]*peer)
	}
	m := p.of[member]
	if m == nil {
		m = new(peer)
		p.of[member] = m
	}
	return m
}

// state describes a member in a word.
func (p *peers) state(member string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m := p.of[member]; {
	case member == p.self:
		return "self"
	case m != nil && m.failures >= inARow:
		return "out"
	}
	return "well"
}

// asking counts the things that this edge asks others for at the moment.
type asking struct {
	mu sync.Mutex
	of map[string]int
}

func (a *asking) add(key string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = make(map[string]int)
	}
	if a.of[key] += n; a.of[key] <= 0 {
		delete(a.of, key)
	}
}

func (a *asking) has(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of[key] > 0
}
