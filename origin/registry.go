package origin

import (
	"pkgedge/origin/counted"
	"pkgedge/origin/fetch"
	"pkgedge/origin/pool"
)

// Registry keeps the knowledge of all sites over a reload: the new configuration's
// site finds the health of its masters, and the memory of its pools, as the old
// one's left it, and both share them while requests of the old one are under way.
// It is forgotten with the last configuration that names it
// (docs/decisions/0014). The zero Registry is empty.
type Registry struct {
	pools pool.Registry
	sites counted.Values[*memory]
}

// memory is the knowledge of a site beside its pools.
type memory struct {
	writes   *pool.RecentWrites
	deferred *fetch.Deferred
}

func newMemory() *memory {
	return &memory{writes: pool.NewRecentWrites(), deferred: fetch.NewDeferred()}
}
