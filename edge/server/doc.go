// Package server owns the edge's listeners: all are open before any is served, and
// they drain together, the admin listener last. It sets the timeouts and bounds of
// connections.
//
// It knows nothing of its handlers' work, and has no lock: one goroutine opens,
// then one runs.
package server
