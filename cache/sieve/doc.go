// Package sieve chooses the files that the disk tier evicts. It is SIEVE by bytes, with
// one exception for metadata.
//
// It knows digests and sizes, and opens no file. The disk tier calls a Set for each file that
// is committed, found, hit, removed or evicted, and checks its bounds against the Set's
// counts.
//
// Lock order: each shard has its own mu, and none is held while another is taken.
// Nothing is called under it.
package sieve
