package policy

import (
	"net/http"
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

// Mark says what purges have done to a stored response.
type Mark uint8

const (
	NotMarked   Mark = iota
	MarkedStale      // a soft purge: validate before use
	MarkedGone       // a hard purge: it is not there any more
)

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
func Decide(now time.Time, r *Response, mark Mark, rule Rule, q Request) Verdict {
	if r == nil || mark == MarkedGone {
		if q.Control.OnlyIfCached { // section 5.2.1.7
			return Unavailable
		}
		return Miss
	}
	if !r.Contains(&q) { // section 3.3: an incomplete response answers only for what it has
		if q.Control.OnlyIfCached {
			return Unavailable
		}
		return Complete
	}
	age, life := r.Age(now), r.Lifetime(rule)
	if mark == NotMarked && !mustValidate(r, rule) && !wantsNewer(q.Control, age, life) {
		switch {
		case life > age: // section 4.2
			return Fresh
		case forbidsStale(r, rule): // section 4.2.4
		case q.Control.MaxStale != absent && within(age-life, q.Control.MaxStale): // section 5.2.1.2
			return Stale
		case within(age-life, r.fresh.window(r.fresh.control.StaleWhileRevalidate, whileRevalidate(r, rule))): // RFC 5861 section 3
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
func DecideOnError(now time.Time, r *Response, mark Mark, rule Rule, q Request) Verdict {
	if r == nil || mark == MarkedGone || forbidsStale(r, rule) || !r.Contains(&q) {
		return Fail
	}
	late := r.Age(now) - r.Lifetime(rule)
	window := r.fresh.window(r.fresh.control.StaleIfError, rule.IfError)
	if rule.Insist {
		window = max(window, rule.IfError)
	}
	if within(late, max(window, q.Control.StaleIfError)) {
		return StaleIfError
	}
	return Fail
}

// mustValidate: a response with no-cache is never used without validation
// (section 5.2.2.4), unless the operator gave it a lifetime.
func mustValidate(r *Response, rule Rule) bool {
	return rule.Validate || r.fresh.control.NoCache && !(rule.Override && r.Status == http.StatusOK || r.announced(rule))
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
func forbidsStale(r *Response, rule Rule) bool {
	c := &r.fresh.control
	return !rule.Insist && (c.MustRevalidate || c.ProxyRevalidate || c.NoCache || c.SMaxAge != absent)
}

// whileRevalidate is the operator's window. What was missing may be there by now,
// and whoever asks for it again is waiting for that.
func whileRevalidate(r *Response, rule Rule) time.Duration {
	if IsMissing(r.Status) {
		return 0
	}
	return rule.WhileRevalidate
}

func within(late, window time.Duration) bool {
	return window > 0 && late <= window
}
