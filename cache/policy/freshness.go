package policy

import (
	"net/http"
	"strings"
	"time"
)

// freshness is the meaning of a response's fields for its age and lifetime, read
// once.
type freshness struct {
	control     Directives    // of CDN-Cache-Control when that is valid, else of Cache-Control
	noTransform bool          // in either of the two
	stated      time.Duration // freshness_lifetime; absent when the response states none
	heuristic   time.Duration // a heuristic lifetime; 0 where section 4.2.2 allows none
	initialAge  time.Duration // corrected_initial_age
	relayed     bool          // another cache had stored the response, as Age says
	clients     Clients
}

// Clients is the word of a response to the caches of clients, which no targeted field
// concerns.
type Clients struct {
	MaxAge  time.Duration // the longest use without asking; Forever where it does not say
	Ask     bool          // no-cache or no-store: before each use
	NoStore bool
	Private bool
}

// Clients is the response's word to clients: its Cache-Control.
func (r *Response) Clients() Clients { return r.fresh.clients }

func clientsOf(c *Directives) Clients {
	told := Clients{Forever, c.NoCache || c.NoStore, c.NoStore, c.Private}
	if told.Ask {
		told.MaxAge = 0
	} else if c.MaxAge != absent {
		told.MaxAge = c.MaxAge
	}
	return told
}

// Measure derives the freshness from the fields and the two times. A response
// that was made by hand, or read from a file, needs it before its first use.
func (r *Response) Measure() {
	c, isTargeted := parseControl(r.Header["Cache-Control"]), false
	noTransform, clients := c.NoTransform, clientsOf(&c)
	if lines := r.Header[targetField]; len(lines) > 0 {
		var targeted Directives
		if targeted, isTargeted = parseTargeted(lines); isTargeted {
			c, noTransform = targeted, noTransform || targeted.NoTransform
		}
	}
	date := dateValue(r.Header, r.ResponseTime)
	age := parseAge(r.Header["Age"])
	r.fresh = freshness{
		control:     c,
		noTransform: noTransform,
		stated:      r.statedLifetime(&c, isTargeted, date),
		heuristic:   r.heuristicLifetime(&c, date),
		initialAge:  r.correctedInitialAge(date, age),
		relayed:     age > 0,
		clients:     clients,
	}
}

// NoTransform says whether the origin forbids to change the content (section
// 5.2.2.6, RFC 9110 section 7.7). A targeted field is about caching, and does not
// lift a no-transform of Cache-Control.
func (r *Response) NoTransform() bool { return r.fresh.noTransform }

// control is the field that decides on caching: the targeted one where that is
// valid, else Cache-Control.
func control(h http.Header) Directives {
	if lines := h[targetField]; len(lines) > 0 {
		if d, ok := parseTargeted(lines); ok {
			return d
		}
	}
	return parseControl(h["Cache-Control"])
}

// Age is the response's current_age (section 4.2.3).
func (r *Response) Age(now time.Time) time.Duration {
	return max(0, r.fresh.initialAge+now.Sub(r.ResponseTime))
}

// correctedInitialAge is the age at the response's arrival (section 4.2.3).
func (r *Response) correctedInitialAge(date time.Time, age time.Duration) time.Duration {
	apparentAge := max(0, r.ResponseTime.Sub(date))
	responseDelay := max(0, r.ResponseTime.Sub(r.RequestTime))
	return max(apparentAge, age+responseDelay)
}

// parseAge reads Age (section 5.1): the first of several values. A malformed one
// is none.
func parseAge(lines []string) time.Duration {
	if len(lines) == 0 {
		return 0
	}
	first, _, _ := strings.Cut(lines[0], ",")
	age, _ := parseDelta(strings.TrimSpace(first))
	return age
}

// statedLifetime is the response's own freshness_lifetime (section 4.2.1), absent
// where it states none.
func (r *Response) statedLifetime(c *Directives, isTargeted bool, date time.Time) time.Duration {
	expires := r.Header["Expires"]
	switch {
	case c.SMaxAge != absent:
		return c.SMaxAge
	case c.MaxAge != absent:
		return c.MaxAge
	case isTargeted: // RFC 9213 section 2.2: Expires is ignored
		return absent
	case len(expires) == 0:
		return absent
	}
	t, ok := ParseDate(expires[0], r.ResponseTime)
	if !ok || len(expires) > 1 { // section 5.3: an invalid date, and several, have passed
		return 0
	}
	return max(0, t.Sub(date))
}

// heuristicLifetime is a tenth of the time between Last-Modified and Date
// (section 4.2.2).
func (r *Response) heuristicLifetime(c *Directives, date time.Time) time.Duration {
	lines := r.Header["Last-Modified"]
	if len(lines) != 1 || !heuristicallyCacheable(r.Status) && !c.Public {
		return 0
	}
	t, ok := ParseDate(lines[0], r.ResponseTime)
	if !ok || !date.After(t) {
		return 0
	}
	return min(date.Sub(t)/10, longestHeuristic)
}

// longestHeuristic bounds a heuristic lifetime.
const longestHeuristic = 24 * time.Hour

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

// clamp is the rule's Clamp for this response. It counts from the moment that the
// origin made the response, as stated lifetimes do.
func (r *Response) clamp(rule *Rule) Clamp {
	c := rule.clamp(r.Status)
	if r.fresh.relayed {
		// The response may be older than a change that was announced. Only an
		// operator's Max says that this does not matter.
		c.Min = min(c.Min, c.Max)
	}
	age := r.fresh.initialAge
	return Clamp{plus(c.Default, age), plus(c.Min, age), plus(c.Max, age)}
}

// plus adds to a duration that is not 0, and ends at Forever.
func plus(to, d time.Duration) time.Duration {
	switch {
	case to == 0:
		return 0
	case to > Forever-d:
		return Forever
	}
	return to + d
}

// clamp is the Clamp for responses with a status. Most have none.
func (rule *Rule) clamp(status int) Clamp {
	switch {
	case status == http.StatusOK:
		return rule.OK
	case IsMissing(status):
		return rule.Missing
	}
	return Clamp{}
}

// givesLifetime says whether the operator gives a lifetime to a response that
// states none.
func (rule *Rule) givesLifetime(status int) bool {
	c := rule.clamp(status)
	return c.Default > 0 || c.Min > 0
}

// TTL is the remaining lifetime. It is negative for a stale response.
func (r *Response) TTL(now time.Time, rule Rule) time.Duration {
	return r.Lifetime(rule) - r.Age(now)
}

// dateValue is the origin's Date, or the time of reception where there is none.
func dateValue(h http.Header, received time.Time) time.Time {
	if lines := h["Date"]; len(lines) > 0 {
		if t, ok := ParseDate(lines[0], received); ok {
			return t
		}
	}
	return received
}

// ParseDate reads an HTTP-date in any of its three forms (RFC 9110 section 5.6.7).
// It is stricter than [http.ParseTime], which accepts other zones, missing digits
// and more spaces: an invalid date in Expires means "already expired" (section
// 5.3), and must be told from a valid one. Names in another case and a wrong day of
// the week pass, as the moment is not in doubt.
//
// The two-digit year of an RFC 850 date is one within 50 years of now.
func ParseDate(s string, now time.Time) (time.Time, bool) {
	if n := len(s) - len("GMT"); n > 0 && strings.EqualFold(s[n:], "GMT") {
		s = s[:n] + "GMT"
	}
	for _, layout := range [...]string{http.TimeFormat, rfc850, time.ANSIC} {
		t, err := time.Parse(layout, s)
		if err != nil || !strings.EqualFold(afterDay(t.Format(layout)), afterDay(s)) {
			continue
		}
		if layout == rfc850 {
			for t.Year() > now.Year()+50 {
				t = t.AddDate(-100, 0, 0)
			}
			for t.Year() < now.Year()-50 {
				t = t.AddDate(100, 0, 0)
			}
		}
		return t.UTC(), true
	}
	return time.Time{}, false
}

// rfc850 is time.RFC850 in the only zone that HTTP allows.
const rfc850 = "Monday, 02-Jan-06 15:04:05 GMT"

// afterDay returns a date without the day of the week.
func afterDay(s string) string {
	if i := strings.IndexByte(s, ' '); i >= 0 {
		return s[i:]
	}
	return s
}
