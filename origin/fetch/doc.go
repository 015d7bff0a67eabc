// Package fetch turns the answers of masters into responses fit to be stored.
//
// Metadata is read whole within a bound of memory that all sites share
// (documents.go), checked and rewritten by the kind of registry, and compressed
// into every variant before the first byte goes out (metadata.go). A
// document that promises files which are not there yet is deferred (deferred.go).
// Files stream (file.go, transfer.go): a small one is verified before its first
// byte goes out, and of a large one the tail is withheld until its digest is right
// (digest.go, verify.go). A file that one master breaks off, another completes. It is
// asked for where its list says, and missing when all say so (place.go).
//
// The package knows no cache: responses go to a [Sink]. It does not choose a
// master: [Masters] does.
//
// Lock order: none is held while another one is taken, nor during I/O.
package fetch
