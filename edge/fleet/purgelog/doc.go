// Package purgelog has the purges of a fleet in a log that all edges read: a stream of NATS
// JetStream.
//
//	Announce ─► outbox (on disk) ─► writer ─► stream ─► reader ─► Apply (this edge's journal) ─► place (on disk)
//	                                 prover ─ tick ─┘     └─ tick back: live
//
// A purge has a subject of its own for each target, and the stream keeps one message of a
// subject, so that the log has the newest purge of each target. An edge that was away reads
// those that it has not seen; a gap in the sequence means nothing.
//
// Nothing that a server says is believed alone:
//
//   - The log is live while this edge's own tick comes back through it, and no other way: the
//     servers answer questions about a stream without a quorum.
//   - An acknowledgement may be lost with the power. Each edge keeps its last purges, and when the
//     log comes live it publishes those again that the log does not have.
//   - The id of the log is in the stream's metadata. Where it is another one than the place is of, or
//     the log ends before the place, everything is put in doubt, once.
//   - A consumer may hang without an error. Each session has a new one, and a session whose ticks do
//     not come back ends.
//
// Only [Init] makes the stream. The package does not know sites, caches or how a purge is put in
// force. It never blocks a caller on a server, but for Publish and Await, whose contexts bound them.
//
// Locks: outbox.writing is held over file I/O, and outbox.mu is taken within it. Log.mu stands
// alone; no I/O happens under it.
package purgelog
