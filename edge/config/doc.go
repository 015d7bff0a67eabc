// Package config reads, checks, prints and compares the configuration of an edge.
//
// Decoding goes key by key: each key has a parser, a default, and an error text that
// names the line and the fix. All problems of a file are reported at once, because an
// operator that mends one line at a time restarts once per line. A key that is
// unknown, or does not belong to the site's kind, is a problem: no key is accepted and
// ignored.
//
//   - config.go has the types and their defaults. [Load] returns a [Config] that is
//     complete, so that no other package parses text of it.
//   - decode.go, site.go, scope.go, changes.go and kind.go decode the keys, parse.go
//     their values. kind.go reads the keys that only one kind of registry has.
//   - source.go has a [Source], the file and the flags that a reload reads again.
//   - diff.go compares two configurations: which keys have changed, and which of
//     these need a restart.
//   - print.go and warning.go are for "edge check".
//
// The package opens no listener and starts nothing. It touches the file, the
// environment that it is given, and, in Load alone, the files and directories that
// the configuration names.
package config
