// Package command is the command line of edge: a file for each command, and [Run],
// which chooses one and returns its exit code.
//
//   - serve.go and check.go read the configuration.
//   - status.go, purge.go, drain.go and reload.go call the admin API of a running
//     edge; admin.go has their flags.
//   - warm.go fetches through an edge, and reads its URL from the admin API.
//
// A command reads flags, calls another package and prints. It has no rules of its
// own: caching, masters and packages are not its business. Exit code 1 means that
// something failed while running, and 2 that the command line or the configuration
// is wrong; an error of the second sort is a usageError.
//
// A command writes to the two writers that it is given, and reads no environment
// but the one that it is given, so that tests run whole command lines.
package command
