// Package lease has one edge of a fleet at a time do something: it has a key of a KV bucket, for
// as long as it renews it. When it ends without a word the key ends with its lifetime, and another
// edge takes it.
//
// A lease is a hint, and no lock: for a moment two edges may both believe that they have it, or
// none. The work under it must bear that. The package does not know which work it is.
//
// A key is renewed by a message of its own, with a lifetime and the sequence of the one before:
// an update by the client's own method drops the lifetime, and the lease then never ends.
package lease
