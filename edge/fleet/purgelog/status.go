package purgelog

import (
	"sync/atomic"
	"time"

	"pkgedge/edge/fleet/figures"
)

// counts count since the start.
type counts struct {
	applied   atomic.Int64 // purges of other edges put in force
	published atomic.Int64 // purges of this edge that the log acknowledged
	repaired  atomic.Int64 // of them, published again
	resets    atomic.Int64 // times that everything was put in doubt
	strangers atomic.Int64 // ticks of other processes of this edge's name
}

// Status describes the log. It asks no server.
func (l *Log) Status() figures.Log {
	live, outbox := l.Live(), l.outbox.len()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := figures.Log{
		Live: live, Since: l.state.since.UTC().Truncate(time.Second), ID: l.place.Log, Place: l.place.Seq, Outbox: outbox,
		Applied: l.counts.applied.Load(), Published: l.counts.published.Load(), Repaired: l.counts.repaired.Load(), Resets: l.counts.resets.Load(), Namesakes: l.counts.strangers.Load(),
	}
	if l.state.last > l.place.Seq {
		s.Behind = l.state.last - l.place.Seq
	}
	if !live {
		s.Why = l.state.why
	}
	return s
}

// startsFor is how many ticks a log may take to be live after the start, before that is told.
const startsFor = 10

// settle notes whether the log is live now. A change is logged.
func (l *Log) settle(now time.Time, ended string) {
	live := ended == "" && l.Live()
	l.mu.Lock()
	was := l.state
	if live != was.live {
		l.state.live, l.state.since = live, now
	}
	switch {
	case live:
		l.state.why = ""
	case ended != "":
		l.state.why = ended
	case l.state.why == "":
		l.state.why = "no tick of this edge came back"
	}
	why, lasted := l.state.why, now.Sub(was.since)
	never := !live && !was.live && !was.told && ended == "" && lasted > startsFor*l.cfg.Tick
	l.state.told = was.told || live || never
	l.mu.Unlock()
	if never {
		l.cfg.Log.Warn("log of purges: not live since the start", "reason", why)
	}
	if live == was.live {
		return
	}
	if live {
		l.cfg.Log.Info("log of purges: live", "after", lasted, "place", was.last)
		l.wake() // for the outbox, and to look for losses of the log
	} else if ended == "" {
		l.cfg.Log.Warn("log of purges: not live: purges of other edges may be missing, lifetimes fall back", "reason", why)
	}
}

// fail notes why the log is not live, or will not be for long.
func (l *Log) fail(err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	was := l.state.why
	l.state.why = err.Error()
	live := l.state.live
	l.mu.Unlock()
	if was != err.Error() {
		l.cfg.Log.Debug("log of purges", "live", live, "error", err)
	}
}

// Heard is when all purges were known last. That is in a process of before where there was none in
// this one, and the start of this one at the first.
func (l *Log) Heard() time.Time {
	if l.Live() {
		return time.Now()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.place.At.IsZero() {
		return l.begun
	}
	return l.place.At
}

// LastLive is when the log was live last in this process, and its start where it never was.
func (l *Log) LastLive() time.Time {
	if l.Live() {
		return time.Now()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.live {
		return time.Now() // not settled yet
	}
	return l.state.since
}
