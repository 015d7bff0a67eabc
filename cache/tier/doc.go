// Package tier is the memory tier before the disk tier, as one store.Store.
//
// The disk decides which response is stored, and memory holds copies of it. While nothing
// can be written to disk, small responses are kept in memory alone.
//
// It takes the disk tier's key lock for the commit of a response that memory alone keeps,
// and no other lock.
package tier
