// Package disk is the disk tier: one file for each stored response, in a directory that
// one process owns.
//
// The file system decides which responses are stored: a file that the eviction's set does
// not know yet is served all the same. Package record has the format of a file, package
// sieve chooses the file to evict. Bytes are checked when a file is opened for the first
// time, and again when its change time is another one; a scrubber reads the rest. A write
// that fails pauses writing, and is a miss to the caller.
//
// The package knows neither the memory tier nor policy.
//
// Lock order: a key's lock (KeyLock) comes first, and file system calls happen under it;
// then the mutexes of the set's shards, the watermark, the checks and the breaker, of which
// none is held while another is taken.
package disk
