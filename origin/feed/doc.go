// Package feed follows the change feed of a registry: CouchDB's _changes, or the
// public replication API's plain form of it. It says which packages changed, soon
// after they did, and nothing else.
//
// A [Follower] runs until its context ends. It hands over each change at least
// once, in batches, and stores the feed's sequence only after the batch is in
// force, so that a restart goes on where the last edge stopped. Where there is no
// sequence to go on from, it begins at the feed's present end, and says that
// everything stored before is in doubt.
//
// # Guarantees
//
// [Follower.Live] is true while the feed is caught up and heard from. It is false
// from the moment that anything goes wrong: a connection that breaks, an answer
// that is no feed, silence for three heartbeats, a server that says that more than
// 1,000 changes are to come. So a change is little more than that silence late while
// Live is true, and a caller that falls back on lifetimes when it is false is never
// worse off than without a feed.
//
// Caught up means that the server has nothing to come: it says so, or gives an empty
// page, or the sequence that was its last when it was asked has been reached.
//
// A database that is replaced by one that is behind our sequence may answer with
// silence. So the two are compared at the start, after each answer that ends with no
// news, and every five minutes; a stream is read for no longer. Polled pages are not
// told from such silence in between.
//
// # The three forms
//
//   - continuous: one answer that never ends, a line for each change, and a blank
//     one for each heartbeat;
//   - longpoll: an answer that waits for the next change, ten seconds at most, for
//     servers and proxies that do not stream;
//   - poll: plain pages, each from the sequence of the one before. It is all that
//     the public API offers: no continuous feed, no filter, no documents.
//
// The first two are [Couch]; a follower begins with pages, changes to the
// continuous form when it has caught up, and to longpoll where that gets nothing.
//
// # Bounds
//
// Lines, rows, pages, names, sequences, and each wait for the server. A row that
// cannot be read, such as one of more than 64 KiB, is counted in [Status]. Where it
// begins with a name, that package is taken for deleted, which puts the most in
// doubt; where it does not, everything is put in doubt, once for the rows that come
// together.
//
// The package knows no cache and no site: changes go to functions of its [Config].
// Its only lock guards the fields of the status, and nothing is called under it.
//
// https://docs.couchdb.org/en/stable/api/database/changes.html
package feed
