// Package badcopies remembers which master has sent a wrong file, so that it is asked for that
// file behind the others.
//
// It knows masters by their names alone. The lock of a [Memory] is its own; nothing is called
// under it.
package badcopies
