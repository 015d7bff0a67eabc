// Package members knows which edges share the fetches of a place, and which of them fetches
// which thing.
//
// [Owner] is pure: of the members that are given it chooses one for a key, by rendezvous
// hashing, so that a member that leaves or comes moves its own keys and no other ones. Edges
// with the same list choose the same owner, without a word between them. Where their lists
// differ for a while two edges may fetch one thing.
//
// A list of members is a [Static] one, or the targets of a DNS service record ([SRV]). The
// package does not know whether a member is well, nor which one this edge is.
//
// SRV has one lock, which is held over no look-up.
package members
