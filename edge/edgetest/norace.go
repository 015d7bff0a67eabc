//go:build !race

package edgetest

// Race says that the race detector is at work.
const Race = false
