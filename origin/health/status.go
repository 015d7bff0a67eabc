package health

import (
	"math"
	"time"
)

// PoolStatus describes a pool of masters.
type PoolStatus struct {
	Name    string // "masters", or "files" for those that serve files alone
	Outage  time.Time
	Outages int64 // ever, the one now included
	Hedged  int64 // reads that another master was asked for before the first had failed
	Retried int64 // reads that another master was asked for after one had failed
	Masters []MasterStatus
}

// MasterStatus describes a master.
type MasterStatus struct {
	N        int       `json:"n"` // names it to Site.Drain
	URL      string    `json:"url"`
	Role     string    `json:"role"`          // primary, replica or spare
	State    string    `json:"state"`         // healthy, suspect, recovering, out or drained
	Why      string    `json:"why,omitempty"` // in words, unless it is healthy
	Since    time.Time `json:"since"`
	Drained  bool      `json:"drained"`
	Share    float64   `json:"share"` // of its usual load that it may have, 0 to 1
	InFlight int       `json:"in_flight"`
	Waiting  int       `json:"waiting"` // for a place at it
	Bytes    int64     `json:"bytes"`   // of bodies, received since the start
	// Milliseconds to the first byte: of late, and in 95 of 100 cases.
	LatencyMS float64 `json:"latency_ms"`
	P95MS     float64 `json:"p95_ms"`
	// FirstBytes are the times to the first byte of reads since the start, for metrics.
	FirstBytes Histogram    `json:"-"`
	Probe      *ProbeStatus `json:"probe,omitempty"` // nil where none is sent
}

// Histogram counts times.
type Histogram struct {
	Counts map[float64]uint64 // those of so many seconds at most
	Count  uint64             // all
	Sum    float64            // seconds
}

func (h *histogram) read() (all Histogram) {
	all.Counts = make(map[float64]uint64, len(firstByteBounds))
	for i := range h.counts {
		all.Count += h.counts[i].Load()
		if i < len(firstByteBounds) {
			all.Counts[firstByteBounds[i].Seconds()] = all.Count
		}
	}
	all.Sum = time.Duration(h.sum.Load()).Seconds()
	return all
}

// ProbeStatus describes the probes of a master.
type ProbeStatus struct {
	Path   string    `json:"path,omitempty"`
	At     time.Time `json:"at,omitzero"`
	Result string    `json:"result,omitempty"` // "ok", or what went wrong in words
	// Age is for how many seconds the probe loop has not been seen. It is
	// Stalled when that is longer than it can take.
	Age     float64 `json:"age_seconds"`
	Stalled bool    `json:"stalled"`
	// Recent are the last probes, the latest at the end.
	Recent []ProbeResult `json:"recent,omitempty"`
}

// ProbeResult is how one probe ended.
type ProbeResult struct {
	MS float64 `json:"ms"` // until it ended, in milliseconds
	OK bool    `json:"ok"`
}

// maxProbes is how many probes of a master are remembered.
const maxProbes = 40

// probeLog is a ring of the last probes of a master.
type probeLog struct {
	results [maxProbes]ProbeResult
	count   int // ever
}

func (l *probeLog) add(took time.Duration, ok bool) {
	l.results[l.count%maxProbes] = ProbeResult{milliseconds(took), ok}
	l.count++
}

// list returns the probes, the latest at the end.
func (l *probeLog) list() []ProbeResult {
	n := min(l.count, maxProbes)
	all := make([]ProbeResult, 0, n)
	for i := l.count - n; i < l.count; i++ {
		all = append(all, l.results[i%maxProbes])
	}
	return all
}

// Up: requests go there.
func (m *MasterStatus) Up() bool { return m.State != out.String() && !m.Drained }

// Status describes the masters. It leaves the counts of requests to the caller.
func (g *Group) Status() PoolStatus {
	g.update(func(time.Time) {}) // for the changes that time has brought
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := PoolStatus{Name: g.cfg.Pool, Outage: g.down, Outages: g.outages}
	for _, m := range g.masters {
		s.Masters = append(s.Masters, g.masterStatus(m, now))
	}
	return s
}

// masterStatus tells of one master. g.mu is held.
func (g *Group) masterStatus(m *Master, now time.Time) MasterStatus {
	s := MasterStatus{
		N: m.N, URL: m.name, Role: "replica", State: m.state.String(), Why: m.reason(), Since: seconds(m.since),
		Drained: !m.drained.IsZero(), Bytes: m.got.Load(), Share: math.Round(m.share(now)*100) / 100,
		LatencyMS: milliseconds(m.latency.Average(now)), P95MS: milliseconds(m.latency.Percentile(95, 1)), FirstBytes: m.firstBytes.read(),
	}
	switch {
	case m.Primary:
		s.Role = "primary"
	case m.Spare:
		s.Role = "spare"
	}
	if s.Drained {
		s.State, s.Since = "drained", seconds(m.drained)
	}
	if !s.Up() {
		s.Share = 0
	}
	for c := range m.limiters {
		inside, waiting := m.limiters[c].load()
		s.InFlight += inside
		s.Waiting += waiting
	}
	if g.probes() {
		age := now.Sub(m.probe.beat)
		if m.probe.beat.IsZero() { // it has not begun
			age = now.Sub(g.begun)
		}
		s.Probe = &ProbeStatus{
			Path: m.probe.path, At: seconds(m.probe.at), Result: m.probe.err,
			Age:     math.Round(age.Seconds()*10) / 10,
			Stalled: age > 2*g.cfg.Probe.Every+g.cfg.Probe.Timeout,
			Recent:  m.probes.list(),
		}
		if s.Probe.Result == "" && !s.Probe.At.IsZero() {
			s.Probe.Result = "ok"
		}
	}
	return s
}

// seconds leaves out the fractions.
func seconds(t time.Time) time.Time { return t.Truncate(time.Second).UTC() }

func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Millisecond)*100) / 100
}
