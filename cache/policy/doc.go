// Package policy decides which responses are stored and when a stored one may
// be used. It is RFC 9111 as pure functions, one concept a file. A section without
// the name of an RFC is of RFC 9111.
//
//	storable.go   sections 3 and 3.5: which responses are stored, and which of their fields
//	decide.go     section 4: a stored response without its bytes, and the verdict on a request
//	vary.go       section 4.1: which stored response a request selects
//	freshness.go  section 4.2: age and lifetime; RFC 9110 section 5.6.7: dates
//	validator.go  sections 4.3.1, RFC 9110 section 8.8: the validators of a stored response
//	freshen.go    sections 3.2 and 4.3: a stored response after a validation
//	range.go      sections 3.3 and 3.4: incomplete responses; RFC 9110 section 14
//	control.go    section 5.2: Cache-Control; section 5.4: Pragma
//	targeted.go   RFC 9213: CDN-Cache-Control
//	rule.go       the operator's configuration, which adds to all of this
//
// [Decide] is called before a fetch and [DecideOnError] after one that failed.
// [Storable] and [Received] are for a response that arrives,
// [Response.Freshened] is for a 304.
//
// The package knows nothing of keys, bytes, stores, masters and registries. It
// imports nothing of this program, has no clock, does no I/O and logs nothing:
// the time is an argument. It has no locks: a [Response] is immutable, and every
// other value belongs to its caller.
package policy
