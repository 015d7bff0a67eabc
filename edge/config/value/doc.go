// Package value reads and writes the single values of a configuration: sizes, durations,
// addresses, names. Each function reads one sort of value. Its errors say how to write the
// value, and never repeat a secret.
//
// It knows no keys and no lines. It has no locks.
package value
