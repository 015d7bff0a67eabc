// Package purge remembers the purges, as a sequence number for each name.
//
// A stored response carries the sequence at which its fill began. A purge with a later
// number covers it, wherever it is, and covers fills under way too. So a purge costs one
// map write however much it covers, and nothing searches the store.
//
// The package knows keys, and nothing of tiers, fills or HTTP. With a directory it keeps
// a journal, and a purge is on disk before Add returns.
//
// Lock order: adding, then mu. The journal's I/O happens under adding, which look-ups
// never take; mu is held for map access alone.
package purge
