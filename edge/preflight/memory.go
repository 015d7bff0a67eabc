package preflight

import (
	"os"
	"strconv"
	"strings"
)

// machineMemory returns the memory that this process may have, in bytes, and whose it is. It
// is 0 where the system does not say.
func machineMemory() (total int64, of string) {
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		total, of = memTotal(string(text)), "this machine"
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil { // cgroup v2, as a container sees it
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && (total == 0 || limit < total) {
			total, of = limit, "this container"
		}
	}
	return total, of
}

// memTotal reads the total from the text of /proc/meminfo.
func memTotal(text string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}
