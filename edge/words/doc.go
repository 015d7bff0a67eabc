// Package words tells how masters failed a request, for the client that asked and for the log, and
// in the names of Proxy-Status (RFC 9209).
//
// It knows errors and no requests, and names no master to a client. It has no locks.
package words
