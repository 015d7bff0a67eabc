// Package links gives the URLs of a master in a response that passes as URLs of the edge: those
// that a client's program follows, in a JSON body or a Link field (RFC 8288).
//
// It knows no masters, no sites and no routes: its caller says which URL becomes which. It has no
// locks.
package links
