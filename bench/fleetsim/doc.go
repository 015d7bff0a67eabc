// Package fleetsim simulates a fleet of a thousand edges, and compares it with the model in
// docs/fleet.md. All of it is in its tests:
//
//	go test ./bench/fleetsim -v                                     # as the suite runs it, with the table
//	go test ./bench/fleetsim -v -args -edges 4000 -pop 20 -for 10m  # larger: minutes of a processor
//
// Each virtual edge runs the real code: edge/fleet/purgelog reads and writes the log, with its
// outbox and its place on disk; edge/fleet/members chooses the owner of a thing; cache/policy
// decides whether a document is fresh. A stream in memory stands in for the servers, a count for
// the masters, and testing/synctest for time, so that minutes take seconds.
//
// It knows nothing of HTTP, siblings that do not answer, or bytes of documents: those are
// measured by bench/pop, and tested in edge/fleet/sibling.
package fleetsim
