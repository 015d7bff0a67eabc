// Package daemon is the edge at work: it opens all that a configuration names,
// wires it, and runs it until it is told to stop.
//
//   - daemon.go: start, serve, drain, close
//   - build.go: a configuration becomes a generation: sites, limits, access log
//   - reload.go: one generation takes the place of another
//   - drain.go, purge.go, status.go: what the admin listener asks for
//   - metrics.go: figures that are read when they are scraped
//   - signals.go, welcome.go: the terminal
//
// It is the one room that sees all others. Each of them gets here what it needs of
// the others, as a value or as an interface of its own. How a request is answered
// is package proxy's matter.
//
// Locks: the slot in reloading comes first, and is held while the configuration is
// replaced. mu guards the list of generations; under it only Feeds.Run is called,
// which takes that package's lock and waits for nothing.
package daemon
