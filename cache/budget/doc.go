// Package budget splits one bound of memory, the configuration's cache.memory, into the
// parts of a process, and counts the bytes of bodies in flight.
//
// It knows arithmetic and counters. The packages that use a part decide which bytes count
// against it, and how they do without.
package budget
