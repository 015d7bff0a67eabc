// Package cache keeps responses and decides when they may be used. It imports
// no other room of this program: it declares the [Fetcher] it needs.
//
// # The life of a request
//
// [Cache.Get] is a loop over three steps. It looks the key up, in memory and
// then on disk. [Decide], a pure function, gives a verdict: answer, answer and
// validate in the background, validate first, or fetch. Where something must be
// fetched, the request joins the key's flight.
//
// A flight is one fetch and the requests that wait for it. Its fill runs on a
// goroutine and a context of its own, looks the key up once more, and calls the
// Fetcher, which writes a response into a [Fill]. Client and fill are two lives
// joined by one object: readers read the flight's bytes each at its own offset,
// a reader that leaves early harms no other, and only success ends in io.EOF.
//
// A response may be checked against another one ([Needer]): a file against the list
// of digests. The fill gets that for its Fetcher by a Get of its own ([Fill.Need]),
// so that no room below asks one above.
//
// # Stored responses
//
// A stored response ([Meta] and its [Part] bodies) is immutable. The disk tier
// is one file for each, found by the key's digest, so that nothing has to be
// loaded before the first hit; the memory tier holds copies of small ones.
// Trouble in either is a miss. Freshening after a 304 replaces the Meta and
// leaves the bytes.
//
// # Purges
//
// A purge is a sequence number remembered for a key, a group, a site or
// everything. A stored response carries the sequence at the moment its fill
// began, so a purge also covers fills under way. Its cost does not depend on the
// number of responses it covers, and it survives a restart.
package cache
