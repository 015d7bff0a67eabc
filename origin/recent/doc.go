// Package recent keeps the values that were put of late, within a bound.
//
// One habit of eviction serves all such memories of this program: a value is
// forgotten after a fixed time, and beyond the bound the oldest eighth goes at once,
// so that a burst of values pays for sorting once in a while. The package knows
// nothing of the values.
//
// A [Map] has no lock: its owner has one.
package recent
