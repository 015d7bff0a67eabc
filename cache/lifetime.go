package cache

import (
	"net/http"
	"strings"
	"time"
)

// lifetime is what a response's fields say of its freshness, read once.
type lifetime struct {
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

// measure derives the lifetime from a response's fields and the moments it was
// asked for and received (RFC 9111 section 4.2).
func measure(m *Meta) lifetime {
	targeted, isTargeted := parseTargeted(m.Header[TargetField])
	l := lifetime{control: targeted, stated: absent}
	if !isTargeted {
		l.control = ParseControl(m.Header["Cache-Control"])
	}
	date := m.ResponseTime
	if lines := m.Header["Date"]; len(lines) > 0 {
		if t, ok := ParseDate(lines[0], m.ResponseTime); ok {
			date = t
		}
	}
	switch expires := m.Header["Expires"]; {
	case l.control.SMaxAge != absent:
		l.stated = l.control.SMaxAge
	case l.control.MaxAge != absent:
		l.stated = l.control.MaxAge
	case isTargeted: // RFC 9213 section 2.2: Cache-Control and Expires are ignored
	case len(expires) > 0:
		l.stated = 0 // section 5.3: several values, or an invalid one, mean expired
		if t, ok := ParseDate(expires[0], m.ResponseTime); ok && len(expires) == 1 {
			l.stated = max(0, t.Sub(date))
		}
	}
	// Section 4.2.3.
	apparent := max(0, m.ResponseTime.Sub(date))
	corrected := max(0, m.ResponseTime.Sub(m.RequestTime)) + parseAge(m.Header["Age"])
	l.initialAge = max(apparent, corrected)
	l.relayed = parseAge(m.Header["Age"]) > 0
	// Section 4.2.2.
	if lines := m.Header["Last-Modified"]; len(lines) == 1 && (heuristicallyCacheable(m.Status) || l.control.Public) {
		if t, ok := ParseDate(lines[0], m.ResponseTime); ok && date.After(t) {
			l.guess = min(date.Sub(t)/10, longestHeuristic)
		}
	}
	return l
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
func (l *lifetime) window(stated, configured time.Duration) time.Duration {
	if stated != absent {
		return stated
	}
	return configured
}

// Age is the response's current_age (RFC 9111 section 4.2.3).
func (m *Meta) Age(now time.Time) time.Duration {
	return max(0, m.fresh.initialAge+now.Sub(m.ResponseTime))
}

// Lifetime is the response's freshness_lifetime under r.
func (m *Meta) Lifetime(r Rule) time.Duration {
	switch {
	case missing(m.Status) && r.Missing > 0:
		if m.fresh.stated != absent {
			return min(m.fresh.stated, r.Missing)
		}
		return r.Missing
	case m.announced(r):
		longer := r.Announced
		r.Announced = 0
		return max(longer, m.Lifetime(r))
	case r.Override && r.Fresh > 0 && m.Status == http.StatusOK:
		return r.Fresh
	case r.Bound && r.Fresh > 0 && m.Status == http.StatusOK:
		life := m.fresh.initialAge + r.Fresh
		if m.fresh.stated != absent {
			life = min(life, m.fresh.stated)
		}
		if r.Heuristic {
			life = max(life, m.fresh.guess)
		}
		return life
	case m.fresh.stated != absent:
		return m.fresh.stated
	case r.Fresh > 0 && m.Status == http.StatusOK:
		return r.Fresh
	case r.Heuristic:
		return m.fresh.guess
	}
	return 0
}

// announced: changes of this response are announced.
func (m *Meta) announced(r Rule) bool {
	return r.Announced > 0 && m.Status == http.StatusOK && !m.fresh.relayed
}

// missing: the response says that there is nothing.
func missing(status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone
}

// TTL is the remaining lifetime; negative for how long it has been stale.
func (m *Meta) TTL(now time.Time, r Rule) time.Duration {
	return m.Lifetime(r) - m.Age(now)
}
