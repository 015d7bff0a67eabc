// Package origin is what stands behind the edge: the masters of a site, which
// of them is asked, for how long, and what is made of their answers.
//
// A [Site] joins a kind of registry, which is pure (origin/npm, origin/dist,
// origin/files), with a pool of masters, or two where files have masters of
// their own. [Site.Fetch] answers for the cache: it asks the master that is best
// placed, each wait bounded, and moves on to the next before anything has been
// released. Metadata is read whole, checked, rewritten and compressed
// into every variant before the first byte goes out. Files stream, and their
// digest decides whether the stream ends; what one master breaks off, another
// completes. [Site.Pass] answers for everything that is never stored.
//
// A pool knows of each master whether it is well, by probes and by what becomes
// of requests (health.go, probe.go), chooses by that (choose.go), asks a second
// one where it pays (round.go), within budgets and bounds (budget.go,
// bulkhead.go), and in an outage asks none. [Site.Status] tells all of it;
// docs/decisions/0007-masters.md gives the reasons.
//
// Nothing here knows the cache: responses go to a [Sink].
package origin
