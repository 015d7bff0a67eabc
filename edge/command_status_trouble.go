package main

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"pkgedge/origin"
)

// trouble is what an operator should know first, a sentence each: what clients
// notice, then what they would notice next, and then what is only worth knowing.
type trouble struct {
	now                time.Time
	wrong, weak, notes []string
}

// trouble finds it.
func (s *statusDoc) trouble() *trouble {
	t := &trouble{now: s.At}
	if !s.Ready {
		t.wrong = append(t.wrong, "not ready: "+s.Why)
	}
	for i := range s.Sites {
		site := &s.Sites[i]
		t.pools("site "+site.Name, site.Writes, &site.poolsStatus)
		if f := site.Changes; f != nil && !f.Live {
			t.weak = append(t.weak, fmt.Sprintf("site %s: the change feed has not been live for %s, and packuments have their usual lifetimes: %s",
				site.Name, t.since(f.Since), cmp.Or(f.Why, "it has not caught up")))
		}
		for j := range site.Scopes {
			t.pools("site "+site.Name+", "+site.Scopes[j].Name, true, &site.Scopes[j].poolsStatus)
		}
	}
	if !s.Config.Refused.IsZero() {
		t.weak = append(t.weak, fmt.Sprintf("the last reload was refused %s ago, and the configuration from before runs on: %s",
			t.since(s.Config.Refused), strings.Join(s.Config.Mistakes, "; ")))
	}
	c := &s.Cache
	if c.DiskPaused {
		t.weak = append(t.weak, "the disk tier is paused: nothing is written to it, for it is full or failing; what it holds is served")
	}
	if c.ScanPercent < 100 {
		t.notes = append(t.notes, fmt.Sprintf("a scan of the disk tier is under way, %d %% done: its figures below are not complete", c.ScanPercent))
	}
	if c.Quarantined > 0 {
		t.notes = append(t.notes, fmt.Sprintf("%s kept aside in quarantine/ after a failed check", count(c.Quarantined, "cache file")))
	}
	if s.Config.Ending > 0 {
		t.notes = append(t.notes, fmt.Sprintf("requests or fetches from before a reload are still under way, in %s", count(int64(s.Config.Ending), "earlier configuration")))
	}
	return t
}

// pools looks at those who can be asked. Writes are only a registry's.
func (t *trouble) pools(where string, writes bool, s *poolsStatus) {
	if s.Outage {
		t.wrong = append(t.wrong, fmt.Sprintf("%s: outage for %s: no master can be asked; clients get what is stored, and 503 for the rest", where, t.since(s.Since)))
	}
	for _, m := range s.Masters {
		if m.Role == "primary" && m.Drained && writes {
			t.wrong = append(t.wrong, fmt.Sprintf("%s: the primary is drained: writes (login, publish) are answered 503", where))
		}
	}
	t.masters(where, s.Masters)
	t.masters(where+", files", s.Files)
}

func (t *trouble) masters(where string, masters []origin.MasterStatus) {
	regular := 0
	for i := range masters {
		m := &masters[i]
		who := fmt.Sprintf("%s: %s %d, %s,", where, m.Role, m.N, hostOf(m.URL))
		switch {
		case m.Drained:
			t.notes = append(t.notes, fmt.Sprintf("%s was drained by an operator %s ago, with %s under way", who, t.since(m.Since), count(int64(m.InFlight), "request")))
		case m.State == "out":
			t.wrong = append(t.wrong, fmt.Sprintf("%s is out for %s: %s", who, t.since(m.Since), m.Why))
		case m.State == "suspect":
			t.weak = append(t.weak, fmt.Sprintf("%s is suspect, and asked last: %s", who, m.Why))
		case m.State == "recovering":
			t.notes = append(t.notes, fmt.Sprintf("%s is recovering, at %.0f %% of its share; it was out: %s", who, 100*m.Share, m.Why))
		}
		if m.Up() && m.Role != "spare" {
			regular++
		}
		if m.Probe != nil && m.Probe.Stalled {
			t.weak = append(t.weak, fmt.Sprintf("%s is not probed: the probe loop was last seen %s ago; this is a fault of the edge, restart it", who, age(time.Duration(m.Probe.Age*float64(time.Second)))))
		}
		if m.Waiting > 0 {
			t.weak = append(t.weak, fmt.Sprintf("%s is busy: %s wait for room at it", who, count(int64(m.Waiting), "request")))
		}
	}
	for i := range masters {
		if m := &masters[i]; regular == 0 && m.Role == "spare" && m.Up() {
			t.weak = append(t.weak, fmt.Sprintf("%s: no primary or replica is left, spares serve", where))
			return
		}
	}
}

// hostOf is the part of a master's URL that people call it by; the whole of it is
// in the table, beside the same number.
func hostOf(master string) string {
	if u, err := url.Parse(master); err == nil && u.Host != "" {
		return u.Host
	}
	return master
}

func (t *trouble) since(at time.Time) string { return age(t.now.Sub(at)) }

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// age writes a duration for a person, to two units.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(0, d.Round(time.Second))
	units := func(large, small time.Duration, l, s string) string {
		if rest := d % large / small; rest > 0 {
			return fmt.Sprintf("%d%s %d%s", d/large, l, rest, s)
		}
		return fmt.Sprintf("%d%s", d/large, l)
	}
	switch {
	case d >= day:
		return units(day, time.Hour, "d", "h")
	case d >= time.Hour:
		return units(time.Hour, time.Minute, "h", "m")
	case d >= time.Minute:
		return units(time.Minute, time.Second, "m", "s")
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
