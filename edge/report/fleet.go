package report

import (
	"fmt"
	"strings"

	"pkgedge/edge/fleet/figures"
)

// Fleet describes the other edges, as far as this one has to do with them.
type Fleet struct {
	Name     string            `json:"name"`
	Pop      string            `json:"pop,omitempty"`
	Siblings *figures.Siblings `json:"siblings,omitempty"` // the edges that it shares fetches with; nil for none
	Store    *figures.Store    `json:"store,omitempty"`    // that all edges share; nil for none
	Log      *figures.Log      `json:"log,omitempty"`      // of purges; nil for none
	Edges    []figures.Edge    `json:"edges,omitempty"`    // that read the log, this one first
}

// Line is one fact of a fleet, in words that are safe to print.
type Line struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Lines are the facts of a fleet, for a person.
func (f *Fleet) Lines() (all []Line) {
	add := func(name, format string, args ...any) {
		all = append(all, Line{name, Printable(fmt.Sprintf(format, args...))})
	}
	add("edge", "%s", strings.TrimSuffix(f.Name+" of "+f.Pop, " of "))
	if l := f.Log; l != nil {
		add("purges", "%s", logText(l))
		add("edges", "%s", edgesText(f.Edges))
	}
	if s := f.Siblings; s != nil {
		var members []string
		for _, m := range s.Members {
			members = append(members, fmt.Sprintf("%s (%s, owner of %.0f %%)", m.Address, m.State, 100*m.Share))
		}
		add("members", "%s", strings.Join(members, ", "))
		add("asked", "%s, %d answered with %s, %d from the masters after all", Count(s.Asked, "time"), s.Answered, HumanBytes(s.Bytes), s.FellBack())
		add("served", "%s with %s, %d declined", Count(s.Served, "answer"), HumanBytes(s.ServedBytes), s.Declined)
	}
	if s := f.Store; s != nil {
		add("store", "%s: asked %s, %d answered with %s; put %s with %s, %d wait, %d dropped, %d failed", s.State,
			Count(s.Asked, "time"), s.Answered, HumanBytes(s.Bytes), Count(s.Put, "file"), HumanBytes(s.PutBytes), s.Queue, s.Dropped, s.PutFailed)
	}
	return all
}

// text writes the fleet for a person. f may be nil.
func (f *Fleet) text(b *strings.Builder) {
	if f == nil {
		return
	}
	b.WriteString("\nfleet\n")
	for _, l := range f.Lines() {
		b.WriteString(wrap(fmt.Sprintf("  %-9s", l.Name), l.Text))
	}
}

// Text is the fleet for a person.
func (f *Fleet) Text() string {
	var b strings.Builder
	f.text(&b)
	return strings.TrimPrefix(b.String(), "\n")
}

// fleet finds the problems of a fleet. f may be nil.
func (t *trouble) fleet(f *Fleet) {
	if f == nil {
		return
	}
	if l := f.Log; l != nil {
		t.purgeLog(l, f.Edges)
	}
	if s := f.Siblings; s != nil {
		for _, m := range s.Members {
			if m.State == "out" {
				t.weak = append(t.weak, fmt.Sprintf("fleet: the edge at %s does not answer, and its packages have other owners", m.Address))
			}
		}
		if s.Strangers > 0 {
			t.notes = append(t.notes, fmt.Sprintf("fleet: %s came to fleet.listen with another token, or none", Count(s.Strangers, "request")))
		}
	}
	if s := f.Store; s != nil && s.State == "out" {
		t.weak = append(t.weak, "fleet: the shared store does not answer; files come from the masters, and none is put there")
	}
}
