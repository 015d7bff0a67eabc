package policy

import (
	"net/http"
	"strings"
	"time"
)

// freshness is what a response's fields say of its age and lifetime, read once.
type freshness struct {
	control    Directives    // CDN-Cache-Control's when that is valid, else Cache-Control's
	stated     time.Duration // freshness_lifetime, absent when the response states none
	initialAge time.Duration // corrected_initial_age
	relayed    bool          // another cache had kept it, as Age says
	asIs       bool          // no-transform, in either of the two fields
	heuristic  time.Duration // a tenth of Date - Last-Modified; 0 where section 4.2.2 allows none
}

// control is the field that decides: the targeted one, else Cache-Control, else
// Pragma's silence.
func control(h http.Header) Directives {
	if d, ok := parseTargeted(h[TargetField]); ok {
		return d
	}
	return ParseControl(h["Cache-Control"])
}

// Measure derives the freshness from the fields and the two times (RFC 9111
// section 4.2). A response that was made by hand, or read from a file, needs it
// before anything else is asked of it.
func (r *Response) Measure() { r.fresh = measure(r) }

func measure(r *Response) freshness {
	targeted, isTargeted := parseTargeted(r.Header[TargetField])
	f := freshness{control: targeted, stated: absent}
	general := ParseControl(r.Header["Cache-Control"])
	if !isTargeted {
		f.control = general
	}
	f.asIs = f.control.NoTransform || general.NoTransform
	date := r.ResponseTime
	if lines := r.Header["Date"]; len(lines) > 0 {
		if t, ok := ParseDate(lines[0], r.ResponseTime); ok {
			date = t
		}
	}
	switch expires := r.Header["Expires"]; {
	case f.control.SMaxAge != absent:
		f.stated = f.control.SMaxAge
	case f.control.MaxAge != absent:
		f.stated = f.control.MaxAge
	case isTargeted: // RFC 9213 section 2.2: Cache-Control and Expires are ignored
	case len(expires) > 0:
		f.stated = 0 // section 5.3: several values, or an invalid one, mean expired
		if t, ok := ParseDate(expires[0], r.ResponseTime); ok && len(expires) == 1 {
			f.stated = max(0, t.Sub(date))
		}
	}
	// Section 4.2.3.
	apparent := max(0, r.ResponseTime.Sub(date))
	corrected := max(0, r.ResponseTime.Sub(r.RequestTime)) + parseAge(r.Header["Age"])
	f.initialAge = max(apparent, corrected)
	f.relayed = parseAge(r.Header["Age"]) > 0
	// Section 4.2.2.
	if lines := r.Header["Last-Modified"]; len(lines) == 1 && (heuristicallyCacheable(r.Status) || f.control.Public) {
		if t, ok := ParseDate(lines[0], r.ResponseTime); ok && date.After(t) {
			f.heuristic = min(date.Sub(t)/10, longestHeuristic)
		}
	}
	return f
}

// parseAge reads Age: of several values the first (RFC 9111 section 5.1), and
// nothing of a malformed one.
func parseAge(lines []string) time.Duration {
	if len(lines) == 0 {
		return 0
	}
	first, _, _ := strings.Cut(lines[0], ",")
	age, _ := parseDelta(strings.TrimSpace(first))
	return age
}

// NoTransform says whether the origin forbids to change the content (section
// 5.2.2.6, RFC 9110 section 7.7). A targeted field, which is about caching, does
// not lift what Cache-Control says of this.
func (r *Response) NoTransform() bool { return r.fresh.asIs }

// Age is the response's current_age (RFC 9111 section 4.2.3).
func (r *Response) Age(now time.Time) time.Duration {
	return max(0, r.fresh.initialAge+now.Sub(r.ResponseTime))
}

// Lifetime is the response's freshness_lifetime under rule (section 4.2.1).
func (r *Response) Lifetime(rule Rule) time.Duration {
	c := r.clamp(&rule)
	life := r.fresh.stated
	switch {
	case life != absent:
	case c.Default > 0:
		life = c.Default
	case rule.Heuristic:
		life = r.fresh.heuristic
	default:
		life = 0
	}
	if c.Max > 0 {
		life = min(life, c.Max)
	}
	if rule.Heuristic && c.Max > c.Min && !IsMissing(r.Status) {
		life = max(life, r.fresh.heuristic)
	}
	return max(life, c.Min)
}

// clamp is the rule's Clamp for this response, counted as its own lifetime is.
func (r *Response) clamp(rule *Rule) Clamp {
	c := rule.clamp(r.Status)
	if r.fresh.relayed {
		// Another cache had kept the response. A change may have been announced
		// since, so that nothing but the operator's Max lengthens its lifetime.
		c.Min = min(c.Min, c.Max)
	}
	return Clamp{plus(c.Default, r.fresh.initialAge), plus(c.Min, r.fresh.initialAge), plus(c.Max, r.fresh.initialAge)}
}

// TTL is the remaining lifetime; negative for how long it has been stale.
func (r *Response) TTL(now time.Time, rule Rule) time.Duration {
	return r.Lifetime(rule) - r.Age(now)
}
