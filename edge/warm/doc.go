// Package warm fills the cache of an edge from lockfiles: it fetches through the
// edge every package and tarball that they name, the way a package client does,
// and compares each tarball with its digest.
//
//   - plan.go reads lockfiles into a [Plan] that names each thing once.
//   - warm.go has [Run]: packages at once, each packument before its tarballs.
//   - client.go sends requests to the edge. A 429, or a 503 with Retry-After, pauses every
//     request until the time it names.
//   - packument.go reads digests from a packument, digest.go compares them.
//   - tally.go counts and prints the summary, progress.go shows how far a run is.
//
// The package knows an edge by its URL alone, and nothing of the admin API or of
// exit codes. Locks: pause.mu and Tally.mu guard plain fields. No function holds
// both.
package warm
