// Package sibling has the edges of one place fetch each thing once: an edge that is not the
// owner of a thing (package members) asks the owner, and the owner asks the masters.
//
//	client ─► A ─► flight ─► pool ─► Ask ──GET /fleet/v1/site/path──► Listener ─► cache.Get ─► flight ─► masters
//	                          └──────► masters, where B says nothing for 200 ms, or no
//
// [Client] is the asking half, a pool.Nearer for each site. [Listener] is the other one. It
// answers from the same cache, and by the same flights, as it answers clients, so that all
// edges and their clients together make one fetch. It hands on the master's
// bytes, with the master's fields, name and age: A checks and prepares them as if they had come
// from there.
//
// Rules:
//
//   - A waits for B only while B says, each 100 ms, that it is at work on it (103 Early Hints
//     without a field), and no longer than longest. A dead edge costs 200 ms, twice, and its
//     keys have other owners for a while.
//   - Where an owner fails all edges go to the next one, so that a dead owner costs one fetch
//     more, and not one of each edge.
//   - An owner that has nothing asks the next one in that order for a stored answer, before the
//     masters: where the owner has joined, or has come back, the next one was the owner until
//     then. Nobody waits for anything to answer that.
//   - One hop. B asks no further edge on A's behalf. It may have asked one for a client of its
//     own: an edge asks those alone that come before it in the order of their hashes for the
//     thing, so that no circle waits for itself, however much the lists differ. One that does
//     not know its own address has no place in that order, and says no while it waits.
//   - Purged is gone. A says how old a purge is that covers the thing, and B has nothing for
//     it from before.
//   - Only for things that every client may have: no private scope, no credential, no transparent
//     site (edge/site, ForAnother; origin/pool, sharable).
//   - Nobody is asked, and nothing looked up, for a stranger: the token is compared first.
//
// The package does not know which key belongs to which package, how lifetimes are counted, or
// how a document is made.
//
// Locks: peers.mu and asking.mu stand alone. No I/O happens under them.
package sibling
