package policy

import (
	"net/http"
	"time"
)

// Response is the part of a stored response that decides when it may be used:
// all of it but the bytes. It is immutable. A validation makes a new one, see
// [Response.Freshened].
type Response struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"` // the stored fields, as the origin sent them

	// RequestTime and ResponseTime are request_time and response_time of section
	// 4.2.3, of the fetch or of the last validation.
	RequestTime  time.Time `json:"requested"`
	ResponseTime time.Time `json:"received"`

	// Vary has the names of the selecting fields and their normalised values
	// (section 4.1), alternating.
	Vary []string `json:"vary,omitempty"`

	// Span is set when the stored bytes are not the whole representation (section
	// 3.3).
	Span *Span `json:"piece,omitempty"`

	fresh freshness // derived from the fields by Measure
}

// IsMissing says whether a status means that there is nothing.
func IsMissing(status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone
}

// IsServerError says whether a status counts as an error of the origin (RFC 5861
// section 4).
func IsServerError(status int) bool {
	switch status {
	case 500, 502, 503, 504:
		return true
	}
	return false
}

// Request is the part of a client's request that decides how it is answered.
type Request struct {
	Method     string      // GET or HEAD
	Header     http.Header // the selecting fields, for Vary; read only; may be nil
	Ranges     []Range     // of a GET, where a part may be fetched and stored by itself
	Control    Directives  // Cache-Control of the request, see RequestControl
	Authorized bool        // carries Authorization

	// Owner names the only client that may have the response, for example by the
	// hash of a credential. The response is stored for that client, and collapsed
	// with its requests alone. To it the cache is a private one: sections 3.5 and
	// 5.2.2.7 do not apply. "" is for a response that every client may have.
	Owner string

	// Validate has the origin asked before every use, also of a fresh response.
	Validate bool
}

// Mark is the effect of purges on a stored response.
type Mark uint8

const (
	NotMarked   Mark = iota
	MarkedStale      // a soft purge: validate before use
	MarkedGone       // a hard purge: it is not there any more
)

// Verdict is the way in which a request is to be answered.
type Verdict uint8

const (
	Miss                 Verdict = iota // nothing usable is stored: fetch
	Fresh                               // answer from the stored response
	Stale                               // answer from the stored response, which is stale; the client allows that
	StaleWhileRevalidate                // answer from the stored response and validate it in the background
	ValidateFirst                       // as Validate; if that takes longer than the rule's Patience, or fails, answer from the stored response
	StaleIfError                        // the origin failed: answer from the stored response all the same
	Complete                            // the bytes wanted are not among those stored: fetch them
	Validate                            // ask the origin whether the stored response is still good, then answer
	Unavailable                         // the client wants no forwarding and nothing usable is stored: 504
	Fail                                // the origin failed and nothing stored may answer
)

// Decide says how to answer q (section 4). r is the stored response that q
// selects, or nil.
func Decide(now time.Time, r *Response, mark Mark, rule Rule, q Request) Verdict {
	if r == nil || mark == MarkedGone {
		if q.Control.OnlyIfCached { // section 5.2.1.7
			return Unavailable
		}
		return Miss
	}
	if r.Span != nil && !r.Contains(&q) { // section 3.3: an incomplete response answers only for its own bytes
		if q.Control.OnlyIfCached {
			return Unavailable
		}
		return Complete
	}
	age, life := r.Age(now), r.Lifetime(rule)
	if mark == NotMarked && !mustValidate(r, &rule, &q) && !wantsFresher(&q.Control, age, life) {
		switch {
		case life > age: // section 4.2
			return Fresh
		case maxStale(r, &rule, &q, age-life): // section 5.2.1.2
			return Stale
		case within(age-life, grace(r, &rule)): // RFC 5861 section 3
			if rule.Patience > 0 && !q.Control.OnlyIfCached {
				return ValidateFirst
			}
			return StaleWhileRevalidate
		}
	}
	if q.Control.OnlyIfCached {
		return Unavailable
	}
	return Validate
}

// DecideOnError says how to answer q after the origin failed: with the stored
// response, or not at all (section 4.2.4, RFC 5861 section 4). A response that would
// have answered at once, but for the rule's Patience, answers now.
func DecideOnError(now time.Time, r *Response, mark Mark, rule Rule, q Request) Verdict {
	if r == nil || mark == MarkedGone || r.Span != nil && !r.Contains(&q) {
		return Fail
	}
	if within(r.Age(now)-r.Lifetime(rule), keep(r, &rule, &q)) || Decide(now, r, mark, rule, q) == ValidateFirst {
		return StaleIfError
	}
	return Fail
}

// mustValidate says whether the response is not used without validation: the
// request wants one, or the response has no-cache (section 5.2.2.4) and no lifetime
// of the operator's.
func mustValidate(r *Response, rule *Rule, q *Request) bool {
	return q.Validate || r.fresh.control.NoCache && r.clamp(rule).Min == 0
}

// wantsFresher says whether the request's own directives (section 5.2.1) rule out
// a response of that age.
func wantsFresher(c *Directives, age, life time.Duration) bool {
	return c.NoCache ||
		c.MaxAge != absent && age > c.MaxAge ||
		c.MaxAge == 0 ||
		c.MinFresh != absent && life-age < c.MinFresh
}

// forbidsStale says whether the response has one of the directives that section
// 4.2.4 lists. s-maxage implies proxy-revalidate (section 5.2.2.10).
func forbidsStale(r *Response) bool {
	c := &r.fresh.control
	return c.MustRevalidate || c.ProxyRevalidate || c.NoCache || c.SMaxAge != absent
}

// maxStale says whether the client takes a response that has been stale for so
// long.
func maxStale(r *Response, rule *Rule, q *Request, late time.Duration) bool {
	return q.Control.MaxStale != absent && within(late, q.Control.MaxStale) && (!forbidsStale(r) || rule.overridesStale())
}

// grace is the response's stale-while-revalidate window (RFC 5861 section 3): its
// own, else the operator's. A 404 has no window of the operator's: a client asks
// again because the thing may be there by now.
func grace(r *Response, rule *Rule) time.Duration {
	configured := rule.Grace.Default
	if IsMissing(r.Status) {
		configured = 0
	}
	window := orConfigured(r.fresh.control.StaleWhileRevalidate, configured)
	if forbidsStale(r) {
		return min(window, rule.Grace.Min)
	}
	return window
}

// keep is the stale-if-error window, of the response or the request (RFC 5861
// section 4).
func keep(r *Response, rule *Rule, q *Request) time.Duration {
	if forbidsStale(r) && !rule.overridesStale() {
		return 0
	}
	return max(orConfigured(r.fresh.control.StaleIfError, rule.Keep.Default), rule.Keep.Min, q.Control.StaleIfError)
}

// orConfigured is a response's own window, or the operator's where it states none.
func orConfigured(own, configured time.Duration) time.Duration {
	if own != absent {
		return own
	}
	return configured
}

// within says whether a window that is open reaches so far past the lifetime.
func within(late, window time.Duration) bool {
	return window > 0 && late <= window
}
