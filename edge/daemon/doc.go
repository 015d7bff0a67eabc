// Package daemon is the edge at work: it opens all that a configuration names,
// wires it, and runs it until it is told to stop.
//
//   - daemon.go: start, serve, drain, close
//   - build.go: a configuration becomes a generation: sites, limits, access log
//   - ceilings.go: how much may be under way, and its metrics
//   - reload.go: one generation takes the place of another
//   - drain.go, purge.go, status.go: the requests of the admin listener
//   - metrics.go: figures that are read when they are scraped
//   - upgrade.go: another process takes this one's place, and this one another's
//   - signals.go, greeting.go: the terminal
//
// It is the one room that sees all others. Here each of them is given the others
// that it needs, as a value or as an interface of its own. Requests are package
// proxy's matter.
//
// Locks: the slot in reloading comes first, and is held while the configuration is
// replaced, or this process by another. mu guards the list of generations; under it only Feeds.Run is called,
// which takes that package's lock and waits for nothing.
package daemon
