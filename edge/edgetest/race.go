//go:build race

package edgetest

// Race says that the race detector is at work, under which a sync.Pool forgets things on
// purpose, and allocations cannot be counted.
const Race = true
