package pool

import (
	"sync/atomic"

	"pkgedge/origin/badcopies"
	"pkgedge/origin/counted"
	"pkgedge/origin/health"
)

// Registry holds the memory of all pools, and the health of their masters. It
// outlives configurations: the pools of one site and name in an old and in a new
// configuration share it (docs/decisions/0014).
type Registry struct {
	masters  health.Registry
	memories counted.Values[*memory]
}

// memory is the knowledge of a pool beside the health of its masters.
type memory struct {
	badCopies       *badcopies.Memory
	waits           health.Latencies // for first bytes, at all masters
	hedges, retries *budget
	hedged, retried atomic.Int64 // for metrics
}

func newMemory() *memory {
	return &memory{badCopies: badcopies.New(), hedges: newHedges(), retries: newRetries()}
}
