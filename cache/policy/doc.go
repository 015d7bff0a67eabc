// Package policy decides which responses are stored and when a stored one may
// be used. It is RFC 9111 as pure functions: each file is one concept of it.
//
//	storable.go   sections 3 and 3.5: which responses are stored, and which of their fields
//	decide.go     section 4: the verdict on a request, given the stored response
//	vary.go       section 4.1: which stored response a request selects
//	freshness.go  section 4.2: age and lifetime
//	freshen.go    sections 3.2 and 4.3: a stored response after a validation
//	range.go      sections 3.3 and 3.4: incomplete responses; RFC 9110 section 14
//	control.go    section 5.2: Cache-Control; section 5.4: Pragma
//	targeted.go   RFC 9213: CDN-Cache-Control
//	date.go       RFC 9110 section 5.6.7: dates
//	rule.go       what the operator's configuration adds to all of this
//
// The package knows nothing of keys, bytes, stores, masters and registries. It
// imports nothing of this program, has no clock, does no I/O and logs nothing:
// the time is an argument.
package policy
