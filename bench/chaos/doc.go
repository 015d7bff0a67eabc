// Command chaos puts the edge's masters in trouble at random, under the load of many clients,
// and counts the errors that clients see.
//
//	go run ./bench/chaos -for 10m
//
// It builds the program, and runs it in front of three masters of an npm registry and two of a
// tree of files, all on loopback. Masters hang, refuse, drop, cut, flip bytes, drip, answer 500
// or a page, and lag behind publishes; one of each kind is well at any moment, and a new one
// has been for some seconds before the old one may go wrong. Meanwhile the edge is reloaded,
// purged, and killed. Clients ask for documents, tarballs of 1 kB to 5 MB, parts of them, and
// files. Each answer is compared with the registry's own bytes.
//
// An error is a status that is none of success, a body that breaks, or 30 seconds without a
// byte; a request that the edge's own death cut is sent again. Files of the tree have no
// digests, so their masters go wrong before the first byte alone.
//
// It prints a table, and exits with 1 if there was an error or a wrong byte. The seed that it
// prints repeats the choices, and not their times.
package main
