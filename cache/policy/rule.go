package policy

import (
	"math"
	"time"
)

// Forever is a window that never closes.
const Forever = time.Duration(math.MaxInt64)

// Rule is the operator's configuration for one class of responses. The zero Rule
// adds nothing to the response's own words: it is plain RFC 9111 without
// heuristics.
type Rule struct {
	OK      Clamp // the freshness lifetime of a 200
	Missing Clamp // that of a 404 or 410

	// Heuristic lets a response be fresh for a tenth of the time since it was last
	// modified, at most a day (section 4.2.2). It is for a response without stated
	// lifetime and without a Default. A 200 under a Max has it in any case: a
	// document that has not changed for long is not about to change.
	Heuristic bool

	// Grace is for how long past its lifetime a response answers while it is
	// validated in the background: stale-while-revalidate of RFC 5861.
	Grace Window

	// Patience is for how long a request waits for that validation before the stale
	// response answers. With 0 it does not wait.
	Patience time.Duration

	// Keep is for how long past its lifetime a response answers when the origin
	// fails: stale-if-error of RFC 5861.
	Keep Window
}

// Clamp bounds a freshness lifetime. A field that is 0 does nothing. Its figures
// count from the moment that the response was received here. A stated lifetime
// counts from the moment that the origin made the response.
//
// Min wins over Max, and holds against no-cache. Min lengthens the lifetime of a
// response out of another cache to Max at most.
type Clamp struct {
	Default time.Duration // where the response states none
	Min     time.Duration // the shortest, also for a response that states less
	Max     time.Duration // the longest, also for a response that states more
}

// Exactly is the operator's lifetime in place of any that the response states.
func Exactly(d time.Duration) Clamp { return Clamp{Default: d, Min: d, Max: d} }

// AtMost is the operator's lifetime for a response that states none or more.
func AtMost(d time.Duration) Clamp { return Clamp{Default: d, Max: d} }

// Window is a time in which a stale response may be used (section 4.2.4). A
// field that is 0 does nothing.
type Window struct {
	Default time.Duration // where the response states none

	// Min is granted even where the response forbids its stale use, by
	// must-revalidate, proxy-revalidate, s-maxage or no-cache. It is the
	// operator's override, and is told in Cache-Status.
	Min time.Duration
}

// Plus is the window made longer; one that is closed stays so.
func (w Window) Plus(d time.Duration) Window { return Window{plus(w.Default, d), plus(w.Min, d)} }

// overridesStale says whether the operator grants a window to responses that
// forbid their stale use.
func (rule *Rule) overridesStale() bool { return rule.Grace.Min > 0 || rule.Keep.Min > 0 }
