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
	relayed    bool          // another cache had kept it
	guess      time.Duration // a tenth of Date - Last-Modified; 0 when not to be guessed
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
	if !isTargeted {
		f.control = ParseControl(r.Header["Cache-Control"])
	}
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
			f.guess = min(date.Sub(t)/10, longestHeuristic)
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

// window is a stale window: the response's own where it states one.
func (f *freshness) window(stated, configured time.Duration) time.Duration {
	if stated != absent {
		return stated
	}
	return configured
}

// Age is the response's current_age (RFC 9111 section 4.2.3).
func (r *Response) Age(now time.Time) time.Duration {
	return max(0, r.fresh.initialAge+now.Sub(r.ResponseTime))
}

// Lifetime is the response's freshness_lifetime under rule.
func (r *Response) Lifetime(rule Rule) time.Duration {
	switch {
	case IsMissing(r.Status) && rule.Missing > 0:
		if r.fresh.stated != absent {
			return min(r.fresh.stated, rule.Missing)
		}
		return rule.Missing
	case r.announced(rule):
		longer := rule.Announced
		rule.Announced = 0
		return max(longer, r.Lifetime(rule))
	case rule.Override && rule.Fresh > 0 && r.Status == http.StatusOK:
		return rule.Fresh
	case rule.Bound && rule.Fresh > 0 && r.Status == http.StatusOK:
		life := r.fresh.initialAge + rule.Fresh
		if r.fresh.stated != absent {
			life = min(life, r.fresh.stated)
		}
		if rule.Heuristic {
			life = max(life, r.fresh.guess)
		}
		return life
	case r.fresh.stated != absent:
		return r.fresh.stated
	case rule.Fresh > 0 && r.Status == http.StatusOK:
		return rule.Fresh
	case rule.Heuristic:
		return r.fresh.guess
	}
	return 0
}

// announced: changes of this response are announced.
func (r *Response) announced(rule Rule) bool {
	return rule.Announced > 0 && r.Status == http.StatusOK && !r.fresh.relayed
}

// TTL is the remaining lifetime; negative for how long it has been stale.
func (r *Response) TTL(now time.Time, rule Rule) time.Duration {
	return r.Lifetime(rule) - r.Age(now)
}
