package feed

import (
	"time"
)

// Status is the state of a feed.
type Status struct {
	URL      string `json:"url"`
	Mode     Mode   `json:"mode"`
	Live     bool   `json:"live"`
	Sequence string `json:"seq,omitempty"` // up to here, changes are in force
	By       string `json:"by,omitempty"`  // the edge of a fleet that follows it for this one

	Since time.Time `json:"since"`         // live, or not
	Why   string    `json:"why,omitempty"` // not live, in words

	Heard      time.Time `json:"heard,omitzero"`       // when the server last said anything
	LastChange time.Time `json:"last_change,omitzero"` // when a change was last put in force
	Lag        *int64    `json:"lag,omitempty"`        // changes to come; nil where the server does not say

	Changes int64 `json:"changes"` // put in force
	Skipped int64 `json:"skipped"` // rows that could not be read
	Resets  int64 `json:"resets"`  // times that all that is stored was put in doubt

	lost string // why it is to begin anew
}

// Age is how long ago the server said anything, or the following began.
func (s *Status) Age(now time.Time) time.Duration {
	if s.Heard.IsZero() {
		return now.Sub(s.Since)
	}
	return now.Sub(s.Heard)
}

// Live says whether the feed is caught up and heard from.
func (f *Follower) Live() bool { return f.live.Load() }

// Status returns the state of the feed now.
func (f *Follower) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.status
	s.Live = f.live.Load()
	return s
}

func (f *Follower) update(change func(*Status)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.status)
}

// heard notes that the server said something, and how much it has left to say
// where it tells.
func (f *Follower) heard(pending *int64) {
	f.update(func(s *Status) {
		s.Heard = time.Now()
		if pending != nil {
			s.Lag = pending
		}
	})
}

// up says that the feed is caught up with.
func (f *Follower) up() {
	if f.live.Load() {
		return
	}
	f.update(func(s *Status) { s.Since, s.Why = time.Now(), "" })
	f.live.Store(true)
	f.cfg.Log.Info("change feed: live", "url", f.db.String(), "seq", string(f.at.short()))
}

// down says why the feed is not to be relied on.
func (f *Follower) down(why error) {
	was := f.live.Swap(false)
	f.update(func(s *Status) {
		s.Why = why.Error()
		if was {
			s.Since = time.Now()
		}
	})
	if was {
		f.cfg.Log.Warn("change feed: not live, lifetimes hold", "url", f.db.String(), "why", why)
	}
}

// short is for people.
func (s sequence) short() sequence {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
