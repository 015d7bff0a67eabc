// Package health knows which masters of a pool are well, and how busy they are.
//
// A [Group] is the masters of one pool of one site. It learns from two sources:
// requests report how they ended ([Group.Failed], [Group.Answered]), and a probe
// loop asks each master regularly. [Group.Candidates] lists the masters with the
// trust that each has earned, for the caller to choose from. A [Limiter] bounds the
// requests of each class that a master has at a time, and opens slowly. Requests alone
// never put the last master out. When probes have, the group is in an outage, in which
// [Group.Enter] lets one request of each class through at a time (trickle.go).
//
// The package knows nothing of caches and documents, and does not choose a master.
// A request reports an error as a [Blame], which the code that sees the error
// makes, or as [Ours] where no master is to blame.
//
// Lock order: Group.mu, then Limiter.mu or Latency.mu. No lock is held during I/O:
// log lines are collected under Group.mu and written after it.
package health
