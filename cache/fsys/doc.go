// Package fsys is the system calls of the disk tier and of the journal of purges, as
// functions in a struct.
//
// A struct of functions, and no interface, lets a test make any single call fail, and
// lets open return the *os.File that sendfile needs. The package knows nothing of caches.
package fsys
