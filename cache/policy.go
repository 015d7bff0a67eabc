package cache

import (
	"net/http"
	"strings"
	"time"
)

// Request is what the policy needs to know of a client's request.
type Request struct {
	Method     string      // GET or HEAD
	Header     http.Header // the selecting fields, for Vary; read only; may be nil
	Ranges     []Range     // of a GET, where a part may be fetched and stored by itself
	Control    Directives  // Cache-Control of the request, see RequestControl
	Authorized bool        // carries Authorization

	// Owner names who alone may have the response, for example the hash of a
	// credential: it is stored for that owner, and collapsed with its requests.
	// To it the cache is a private one (RFC 9111 section 3.5 and 5.2.2.7 do not
	// apply). "" is a response that anybody may have.
	Owner string
}

// RequestControl reads a request's Cache-Control, and Pragma where there is
// none (RFC 9111 section 5.4).
func RequestControl(h http.Header) Directives {
	if lines := h["Cache-Control"]; len(lines) > 0 {
		return ParseControl(lines)
	}
	d := noDirectives()
	for _, line := range h["Pragma"] {
		d.NoCache = d.NoCache || containsToken(line, "no-cache")
	}
	return d
}

// NoControl is the Cache-Control of a request that has none, or whose kind does
// not let clients steer the cache.
func NoControl() Directives { return noDirectives() }

// Verdict is what is to be done about a request.
type Verdict uint8

const (
	Miss                 Verdict = iota // nothing usable is stored: fetch
	Fresh                               // answer from the stored response
	Stale                               // answer from the stored response, stale as it is; the client allows that
	StaleWhileRevalidate                // answer from the stored response and validate it in the background
	StaleIfError                        // the origin failed: answer from the stored response all the same
	Complete                            // the bytes wanted are not among those stored: fetch them
	Validate                            // ask the origin whether the stored response still holds, then answer
	Unavailable                         // the client wants no forwarding and nothing usable is stored: 504
	Fail                                // the origin failed and nothing stored may answer
)

// Decide says how to answer q, given the stored response selected for it, or
// nil (RFC 9111 section 4).
func Decide(now time.Time, m *Meta, mark Mark, r Rule, q Request) Verdict {
	if m == nil || mark == MarkedGone {
		if q.Control.OnlyIfCached { // section 5.2.1.7
			return Unavailable
		}
		return Miss
	}
	if !holds(m, &q) { // section 3.3: an incomplete response answers only for what it has
		if q.Control.OnlyIfCached {
			return Unavailable
		}
		return Complete
	}
	age, life := m.Age(now), m.Lifetime(r)
	if mark == NotMarked && !mustValidate(m, r) && !wantsNewer(q.Control, age, life) {
		switch {
		case life > age: // section 4.2
			return Fresh
		case forbidsStale(m, r): // section 4.2.4
		case q.Control.MaxStale != absent && within(age-life, q.Control.MaxStale): // section 5.2.1.2
			return Stale
		case within(age-life, m.fresh.window(m.fresh.control.StaleWhileRevalidate, whileRevalidate(m, r))): // RFC 5861 section 3
			return StaleWhileRevalidate
		}
	}
	if q.Control.OnlyIfCached {
		return Unavailable
	}
	return Validate
}

// DecideOnError says how to answer q after the origin failed: with the stored
// response, or not at all (RFC 9111 section 4.2.4, RFC 5861 section 4).
func DecideOnError(now time.Time, m *Meta, mark Mark, r Rule, q Request) Verdict {
	if m == nil || mark == MarkedGone || forbidsStale(m, r) || !holds(m, &q) {
		return Fail
	}
	late := m.Age(now) - m.Lifetime(r)
	window := m.fresh.window(m.fresh.control.StaleIfError, r.IfError)
	if r.Insist {
		window = max(window, r.IfError)
	}
	if within(late, max(window, q.Control.StaleIfError)) {
		return StaleIfError
	}
	return Fail
}

// mustValidate: a response with no-cache is never used without validation
// (section 5.2.2.4), unless the operator gave it a lifetime.
func mustValidate(m *Meta, r Rule) bool {
	return r.Validate || m.fresh.control.NoCache && !(r.Override && m.Status == http.StatusOK || m.announced(r))
}

// wantsNewer: the request's own demands (section 5.2.1).
func wantsNewer(c Directives, age, life time.Duration) bool {
	return c.NoCache ||
		c.MaxAge != absent && age > c.MaxAge ||
		c.MaxAge == 0 ||
		c.MinFresh != absent && life-age < c.MinFresh
}

// forbidsStale: section 4.2.4 lists the directives; s-maxage has the meaning of
// proxy-revalidate for a shared cache (section 5.2.2.10).
func forbidsStale(m *Meta, r Rule) bool {
	c := &m.fresh.control
	return !r.Insist && (c.MustRevalidate || c.ProxyRevalidate || c.NoCache || c.SMaxAge != absent)
}

// whileRevalidate is the operator's window. What was missing may be there by now,
// and whoever asks for it again is waiting for that.
func whileRevalidate(m *Meta, r Rule) time.Duration {
	if missing(m.Status) {
		return 0
	}
	return r.WhileRevalidate
}

func within(late, window time.Duration) bool {
	return window > 0 && late <= window
}

// Storable says whether a response may be stored (RFC 9111 section 3), and is
// worth it. Status 206 and 304 are not stored as they are.
func Storable(r Rule, q Request, status int, h http.Header) bool {
	c := control(h)
	if q.Method != http.MethodGet || q.Control.NoStore {
		return false
	}
	if status < 200 || status == http.StatusPartialContent || status == http.StatusNotModified {
		return false
	}
	if c.MustUnderstand { // section 5.2.2.3: then no-store is ignored
		if !understood(status) {
			return false
		}
	} else if c.NoStore {
		return false
	}
	if c.Private && q.Owner == "" { // section 5.2.2.7
		return false
	}
	if q.Authorized && !c.Public && !c.MustRevalidate && c.SMaxAge == absent { // section 3.5
		return false
	}
	if varyAny(h) { // section 4.1: would never be selected
		return false
	}
	return states(c, h) || r.covers(status) || heuristicallyCacheable(status) &&
		(c.NoCache || r.Heuristic && h.Get("Last-Modified") != "" || h.Get("ETag") != "")
}

// states: the response says by itself that it may be stored, or for how long.
func states(c Directives, h http.Header) bool {
	return c.MaxAge != absent || c.SMaxAge != absent || len(h["Expires"]) > 0 || c.Public
}

// StatesLifetime says whether a response states by itself how long it is fresh.
func StatesLifetime(h http.Header) bool {
	c := control(h)
	return c.MaxAge > 0 || c.SMaxAge > 0 || len(h["Expires"]) > 0
}

// covers: the operator gave responses of this status a lifetime.
func (r Rule) covers(status int) bool {
	switch status {
	case http.StatusOK:
		return r.Fresh > 0
	case http.StatusNotFound, http.StatusGone:
		return r.Missing > 0
	}
	return false
}

// understood lists the final status codes whose caching rules this cache
// implements (RFC 9111 section 3, RFC 9110 section 15).
func understood(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406,
		408, 409, 410, 411, 412, 413, 414, 415, 417, 421, 422, 429, 451,
		500, 501, 502, 503, 504:
		return true
	}
	return false
}

// heuristicallyCacheable: RFC 9110 section 15.1, without 206.
func heuristicallyCacheable(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

func containsToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}
