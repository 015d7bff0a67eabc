// Package sieve chooses the files that the disk tier evicts. It is SIEVE by bytes, with
// one exception for metadata.
//
// It knows digests and sizes, and no file: a Set is told of each file that is committed,
// found, hit, removed or evicted, and keeps the counts that the disk tier's bounds are
// checked against.
//
// Lock order: each shard has its own mu, and none is held while another is taken.
// Nothing is called under it.
package sieve
