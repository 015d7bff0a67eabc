// Fleetchaos kills the parts of a fleet at random, under the load of clients, and counts the errors
// that those see:
//
//	go run ./bench/fleetchaos -for 10m
//
// It builds the program, and runs three edges of one pop, three NATS servers with the log of
// purges, and two masters, all on loopback. Each edge and each server is a process, and dies by
// SIGKILL; servers are also stopped for a while, with their connections open; masters refuse connections, one at a time. Two servers may be dead at once, so that there
// is no quorum. Meanwhile packages are published at the masters, and purged at an edge.
//
// Wrong are: an answer that is no success from an edge that was not killed meanwhile, a tarball with
// other bytes, a document without the version whose purge was said to be in force at all edges, and, at
// the end, when all parts run, a document at any edge without the last version whose purge was
// answered. The metadata lives for an hour, so that nothing but a purge brings a new version.
//
// It prints a table, and exits with 1 where something was wrong. The servers are those of nats-server,
// which the program itself has no part of.
package main
