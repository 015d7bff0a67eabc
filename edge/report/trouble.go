package report

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"pkgedge/origin"
	"pkgedge/tls"
)

// Urgency is how soon an operator must look after a problem.
type Urgency int

// The urgencies, the worst first.
const (
	Wrong Urgency = iota // clients notice it
	Weak                 // clients would notice one more failure
	Note                 // an operator should know it
)

// Mark is the sign before a problem's sentence.
func (u Urgency) Mark() string { return []string{"!!", "!", "-"}[u] }

// Problem is one problem of an edge, in a sentence.
type Problem struct {
	Urgency
	Text string
}

// Problems are those of an edge, the worst first, safe to print.
func (s *Status) Problems() (all []Problem) {
	t := s.trouble()
	for urgency, lines := range [][]string{t.wrong, t.weak, t.notes} {
		for _, line := range lines {
			all = append(all, Problem{Urgency(urgency), Printable(line)})
		}
	}
	return all
}

// trouble lists the problems of an edge, one sentence each.
type trouble struct {
	now   time.Time
	wrong []string // clients notice it
	weak  []string // clients would notice one more failure
	notes []string // an operator should know it
}

// trouble finds the problems.
func (s *Status) trouble() *trouble {
	t := &trouble{now: s.At}
	if !s.Ready {
		t.wrong = append(t.wrong, "not ready: "+s.Why)
	}
	for i := range s.Sites {
		site := &s.Sites[i]
		t.pools("site "+site.Name, site.Writes, &site.Pools)
		if f := site.Changes; f != nil && !f.Live {
			t.weak = append(t.weak, fmt.Sprintf("site %s: the change feed has not been live for %s, and packuments have their usual lifetimes: %s",
				site.Name, t.since(f.Since), cmp.Or(f.Why, "it has not caught up")))
		}
		for j := range site.Scopes {
			t.pools("site "+site.Name+", "+site.Scopes[j].Name, true, &site.Scopes[j].Pools)
		}
	}
	t.certificates(s.Certificates)
	t.fleet(s.Fleet)
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
		t.notes = append(t.notes, fmt.Sprintf("%s kept aside in quarantine/ after a failed check", Count(c.Quarantined, "cache file")))
	}
	return t
}

// certificates looks at the certificates of the encrypted listener.
func (t *trouble) certificates(all []tls.Status) {
	for i := range all {
		c := &all[i]
		line := fmt.Sprintf("the certificate for %s %s", c.Title(), c.Text(t.now))
		switch c.Urgency(t.now) {
		case tls.Now:
			t.wrong = append(t.wrong, line)
		case tls.Urgent:
			t.weak = append(t.weak, line)
		case tls.Soon:
			t.notes = append(t.notes, line)
		default:
			if !c.Failed.IsZero() {
				t.notes = append(t.notes, line)
			}
		}
	}
}

// pools looks at the masters of a site or of a scope. Without writes a drained
// primary harms no client.
func (t *trouble) pools(where string, writes bool, s *Pools) {
	if s.Outage {
		t.wrong = append(t.wrong, fmt.Sprintf("%s: outage for %s: every master is out; clients get what is stored, and 503 for the rest", where, t.since(s.Since)))
	}
	for _, m := range s.Masters {
		if m.Role == "primary" && m.Drained && writes {
			t.wrong = append(t.wrong, fmt.Sprintf("%s: the primary is drained: writes (login, publish) are answered 503", where))
		}
	}
	t.masters(where, s.Masters)
	t.masters(where+", files", s.Files)
}

// masters looks at the masters of one pool.
func (t *trouble) masters(where string, masters []origin.MasterStatus) {
	regular := 0
	for i := range masters {
		m := &masters[i]
		name := fmt.Sprintf("%s: %s %d, %s,", where, m.Role, m.N, hostOf(m.URL))
		switch {
		case m.Drained:
			t.notes = append(t.notes, fmt.Sprintf("%s was drained by an operator %s ago, with %s under way", name, t.since(m.Since), Count(int64(m.InFlight), "request")))
		case m.State == "out":
			t.wrong = append(t.wrong, fmt.Sprintf("%s is out for %s: %s", name, t.since(m.Since), m.Why))
		case m.State == "suspect":
			t.weak = append(t.weak, fmt.Sprintf("%s is suspect, and asked last: %s", name, m.Why))
		case m.State == "recovering":
			t.notes = append(t.notes, fmt.Sprintf("%s is recovering, at %.0f %% of its share; it was out: %s", name, 100*m.Share, m.Why))
		}
		if m.Up() && m.Role != "spare" {
			regular++
		}
		if m.Probe != nil && m.Probe.Stalled {
			t.weak = append(t.weak, fmt.Sprintf("%s is not probed: the probe loop was last seen %s ago; this is a fault of the edge, restart it", name, Age(time.Duration(m.Probe.Age*float64(time.Second)))))
		}
		if m.Waiting > 0 {
			t.weak = append(t.weak, fmt.Sprintf("%s is busy: %s wait for room at it", name, Count(int64(m.Waiting), "request")))
		}
	}
	for i := range masters {
		if m := &masters[i]; regular == 0 && m.Role == "spare" && m.Up() {
			t.weak = append(t.weak, fmt.Sprintf("%s: no primary or replica is left, spares serve", where))
			return
		}
	}
}

// hostOf returns the host of a master's URL. The table of masters has the whole
// URL beside the same number.
func hostOf(master string) string {
	if u, err := url.Parse(master); err == nil && u.Host != "" {
		return u.Host
	}
	return master
}

// since returns the age of a moment at the time of the document.
func (t *trouble) since(at time.Time) string { return Age(t.now.Sub(at)) }
