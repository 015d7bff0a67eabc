// Package conditional is the part of RFC 9110 that decides which bytes of a
// representation a request gets: content negotiation (section 12.5.3),
// preconditions (section 13) and ranges (section 14).
//
// Its functions read fields and return values. They know no clock, no
// connection, no cache and no kind of registry, and may be called by any number
// of goroutines at once.
package conditional
