//go:build unix

package daemon

import (
	"math"
	"syscall"
)

// openFiles is how many files the process may open, 0 where that is not known.
func openFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), math.MaxInt32))
}
