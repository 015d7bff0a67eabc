// Package preflight compares a configuration with the machine and the network that it would
// run on: whether the ports are free, the cache's sizes fit, and the masters answer as masters
// of their kind. "edge check --online" prints its findings.
//
// It knows nothing of a running edge: an edge that serves already holds the ports and most
// of the memory, and is told as any other process would be. It changes nothing on disk. It has
// no locks.
package preflight
