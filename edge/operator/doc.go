// Package operator finds the responses that an operator's words are about: for a purge, and for
// the question how a request would be answered.
//
// It knows the sites that serve, and does nothing to them. It has no locks.
package operator
