// Package node reads a YAML file key by key, and knows the line of each key. It
// collects every problem of the file, so that an operator mends them all at once.
//
//   - reader.go parses the document and records lines and problems.
//   - value.go reads mappings and lists. A key that is unknown, or set twice, is a
//     problem.
//   - scalar.go reads single values, and replaces ${NAME} by a variable.
//   - problem.go words a problem, and finds the key that a misspelled one means.
//
// The package knows no key of a configuration: its caller brings the keys and the
// functions that parse their values. It does no I/O.
package node
