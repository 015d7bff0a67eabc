// Package fetch turns the answers of masters into responses fit to be stored.
//
// Metadata is read whole within a bound of memory that all sites share
// (documents.go), checked and rewritten by the kind of registry, and compressed
// into every variant before the first byte goes out (metadata.go). A
// document that promises files which are not there yet is deferred (deferred.go).
// A file is verified before its first byte goes out (file.go, digest.go): a small
// one in memory, a large one in the place that the sink has for it (spool.go). One that takes
// long streams, and its tail is withheld until it is right (transfer.go). A file that one
// master breaks off, another completes. It is asked for where its list says, and missing
// when all say so (place.go).
//
// The package knows no cache: responses go to a [Sink]. It does not choose a
// master: [Masters] does.
//
// Lock order: none is held while another one is taken, nor during I/O.
package fetch
