// Package history is an edge's memory of its last hour, for the page that a person looks at:
// figures every ten seconds, the packages that are asked for most, and the failures
// that clients saw. All of it has a fixed size, and ends with the process; a
// monitoring system is for longer times.
//
//   - hour.go: [Hour] takes a [Sample] of the counters in steps, into a ring
//   - quantile.go: percentiles of a histogram
//   - top.go: [Top] counts names, in a fixed number of counters
//   - failures.go: [Failures] keeps the last ones, grouped by their reason
//
// The package knows nothing of requests, masters and metrics: it is given numbers and
// names. Hits pass [Top.Count], so that it waits for no lock and allocates nothing.
//
// Locks: each type has one of its own, and nothing is called under it.
package history
