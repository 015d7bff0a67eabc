// Command edge stands between package clients and the masters of a registry.
// It answers metadata and tarballs from memory and disk, makes one origin fetch
// out of any number of concurrent misses, and goes on answering when every
// master is down.
//
// This folder is what a client meets; what is kept is decided in package cache
// and what stands behind us is package origin. To find your way:
//
//   - main.go reads the command line and ends with an exit code: 0, 1 when
//     something failed while running, 2 when the command line or the
//     configuration is wrong.
//   - config*.go read config.yaml into plain Go values ([Config]). Nothing
//     after [Load] parses text again. Load reports every mistake at once, each
//     with its line and its fix, because an operator who mends one line at a
//     time restarts once per line. A key whose mechanism does not exist yet is
//     refused by name: it is never accepted and ignored.
//   - server.go owns the listeners: all are open before any is served, and all
//     drain before the process ends.
//   - serve.go wires a Config to the rooms and runs it.
package main
