// Package fleet makes an edge one of many: it reads and writes the log of purges
// (purgelog), knows the other edges (presence), and has one edge at a time follow a change feed
// (lease). Package members and package sibling, which share fetches, do without it.
//
// [Open] starts everything and waits for no server: an edge starts, serves and is ready without
// them. The engine, NATS JetStream, is only a client here.
//
// The package does not know sites, caches or requests. Its lock, Fleet.mu, guards the
// connection alone.
package fleet
