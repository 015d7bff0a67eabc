// Package verify says of a file whether it is the one that was asked for: by its digest, or,
// where none is known, by the checksums that gzip has in the file itself (RFC 1952).
//
// It takes bytes as they come and keeps none of them. It knows no masters, no responses and no
// lists of digests. It has no locks; a gzip file is decoded on a goroutine that ends with
// Verify or Stop.
package verify
