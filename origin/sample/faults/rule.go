package faults

import (
	"slices"
	"sync"
)

// Rule is faults in force at a master, for the requests that match.
type Rule struct {
	rules  *rules
	match  Match
	faults []Fault
	left   int // requests to go; negative is without end
	hits   int
}

// rules are those in force, oldest first.
type rules struct {
	mu  sync.Mutex
	all []*Rule
}

// Break applies faults to every matching request, until [Rule.Mend]. Of the
// rules that match a request the oldest one applies, alone.
func (m *Master) Break(match Match, faults ...Fault) *Rule {
	return m.BreakNext(-1, match, faults...)
}

// BreakNext applies faults to the next n matching requests; rules put one after
// the other make a sequence.
func (m *Master) BreakNext(n int, match Match, faults ...Fault) *Rule {
	r := &Rule{rules: &m.rules, match: match, faults: faults, left: n}
	m.rules.mu.Lock()
	defer m.rules.mu.Unlock()
	m.rules.all = append(m.rules.all, r)
	return r
}

// Mend ends the rule for requests to come. Those under way keep their fault.
func (r *Rule) Mend() {
	r.rules.mu.Lock()
	defer r.rules.mu.Unlock()
	r.rules.all = slices.DeleteFunc(r.rules.all, func(other *Rule) bool { return other == r })
}

// Hits is the number of requests the rule has met.
func (r *Rule) Hits() int {
	r.rules.mu.Lock()
	defer r.rules.mu.Unlock()
	return r.hits
}

// Mend ends every rule of the master.
func (m *Master) Mend() {
	m.rules.mu.Lock()
	defer m.rules.mu.Unlock()
	m.rules.all = nil
}

// take finds the faults of a request and counts it against their rule.
func (rs *rules) take(rec Record) []Fault {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for i, r := range rs.all {
		if r.left == 0 || !r.match(rec) {
			continue
		}
		r.hits++
		if r.left--; r.left == 0 {
			rs.all = slices.Delete(rs.all, i, i+1)
		}
		return r.faults
	}
	return nil
}
