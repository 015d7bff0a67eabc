// Package words tells how masters failed a request, for the client that asked and for the log.
//
// It knows errors and no requests, and names no master to a client. It has no locks.
package words
