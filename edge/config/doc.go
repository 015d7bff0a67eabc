// Package config reads, checks, prints and compares the configuration of an edge.
//
// Decoding goes key by key: each key has a parser, a default, and an error text that
// names the line and the fix. All problems of a file are reported at once. A key that
// is unknown, or does not belong to the site's kind, is a problem.
//
// A Source remembers the place that a configuration was read from, so that a reload
// reads the same file and applies the same command line. Compare says which changed
// keys need a restart.
//
// The package opens no listener and starts nothing. It touches the file, the
// environment that it is given, and, in Load alone, the files and directories that
// the configuration names.
package config
