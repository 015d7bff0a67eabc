// Package purge remembers the purges, as a sequence number for each name.
//
// A stored response carries the sequence at which its fill began. A purge with a later
// number covers it, wherever it is, and covers fills under way too. So a purge costs one
// map write however much it covers, and nothing searches the store.
//
// The package knows keys, and nothing of tiers, fills or HTTP. With a directory it keeps
// a journal, and a purge is on disk before Add returns.
//
// A look-up takes no lock: it finds marks by hash in a table of atomics. Sequence.adding is
// the only lock. It is held over the journal's I/O.
package purge
