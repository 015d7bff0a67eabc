// Package tier is the memory tier before the disk tier, as one store.Store.
//
// The disk decides which response is stored, and memory holds copies of it. While nothing
// can be written to disk, small responses are kept in memory alone.
//
// A response that says that there is none (404, 410) is kept in memory alone: a stranger
// makes up names without end, and each would displace a file.
//
// It takes the disk tier's key lock for the commit of a response that memory alone keeps,
// and no other lock.
package tier
