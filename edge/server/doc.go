// Package server owns the edge's listeners: all are open before any is served, or inherited
// from another process, and they drain together, the admin listener last: see drain.go. It sets the timeouts and bounds of
// connections, shakes hands on those of TLS, and puts a framing.Guard on each that
// speaks HTTP/1.
//
// It knows nothing of its handlers' work. One lock guards the connections that have
// not shaken hands yet, which are bounded, and one the keys of session tickets.
package server
