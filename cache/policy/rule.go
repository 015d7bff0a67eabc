package policy

import (
	"math"
	"time"
)

// Forever is a window that never closes.
const Forever = time.Duration(math.MaxInt64)

// Rule is what the operator's configuration says of one class of responses.
// The zero Rule adds nothing to what the origin says, and is plain RFC 9111
// without heuristics.
type Rule struct {
	// Fresh is the freshness lifetime of a response that does not state one. 0
	// leaves it to Heuristic.
	Fresh time.Duration

	// Override makes Fresh win over what a 200 states.
	Override bool

	// Bound makes Fresh the longest lifetime of a 200 too, counted from when it
	// was received: one that states less keeps to that. With Heuristic as well,
	// one that was modified long ago is fresh for a tenth of that time where that
	// is longer.
	Bound bool

	// Announced is the longer lifetime of a 200 whose every change is announced,
	// and purges it; 0 where changes are not. It wins over Fresh and over what the
	// response states. One that comes out of another cache, as Age says, is no
	// newer than that cache and does not have it.
	Announced time.Duration

	// Missing is the freshness lifetime of a 404 or 410 that does not state
	// one, and the longest for one that does. 0 leaves it to the response.
	Missing time.Duration

	// Heuristic lets a response without stated lifetime be fresh for a tenth
	// of the time since it was last modified, at most a day (RFC 9111 section
	// 4.2.2).
	Heuristic bool

	// WhileRevalidate and IfError are the stale windows of RFC 5861 for a
	// response that does not state its own; 0 is none.
	WhileRevalidate time.Duration
	IfError         time.Duration

	// Patience is how long a request waits for a validation when the stored
	// response may answer if it fails. Then that answers, and the validation
	// goes on without it. 0 is for as long as it takes.
	Patience time.Duration

	// Validate has the origin asked before every use, whatever the lifetime. Then
	// there is no Patience, and the stale windows are for an origin that was asked
	// and failed, see ErrNotAsked.
	Validate bool

	// Insist makes the two windows hold even where the response forbids it by
	// must-revalidate, proxy-revalidate, s-maxage or no-cache. It is the
	// operator's stated override (RFC 9111 section 4.2.4) and is told in
	// Cache-Status.
	Insist bool
}

// longestHeuristic bounds a guessed lifetime.
const longestHeuristic = 24 * time.Hour
