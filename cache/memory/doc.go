// Package memory is the memory tier: small stored responses in ristretto.
//
// ristretto decides nothing. It drops and reorders writes, so its key holds the Version of a
// commit, under which one immutable value can exist, and an index of the package's own
// says which Version is current. A value that ristretto does not have is a miss.
//
// A front answers most look-ups without a lock, from the residents that are known to be
// current.
//
// The package also counts the bytes in flight, shrinks for a borrower, and has the writer
// for bodies that no tier takes. It knows neither files nor policy.
//
// Lock order: each shard of the index has a mu, held for map access alone. No shard is
// locked while another is, and ristretto is never called under one.
package memory
