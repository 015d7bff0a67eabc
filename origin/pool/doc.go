// Package pool asks the masters of a site, one after the other, until one of them
// gives a usable answer.
//
// [Pool.Each] orders the masters (the less loaded of two random ones first, by health),
// asks the next one when one fails or takes unusually long, and stays within budgets
// for that (race.go). After a write it reads from the primary
// until a replica shows the change (recentwrites.go). A master that sent a wrong file
// is asked last for that file (badcopies.go). A file may be at several places of a
// master, or at another host (place.go). [Pool.Pass] sends requests that are never
// stored.
//
// The package knows nothing of documents and digests: its caller judges each
// response. Whether a master is well is the business of package health.
//
// No lock of this package is held while another one is taken, or during I/O.
package pool
