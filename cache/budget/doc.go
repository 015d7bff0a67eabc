// Package budget splits one bound of memory, the configuration's cache.memory, into the
// parts of a process, and counts the bytes of bodies in flight.
//
// It knows arithmetic and counters. Which bytes are counted, and what happens when none
// are left, is for the packages that take them.
package budget
