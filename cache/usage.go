package cache

import (
	"pkgedge/cache/disk"
	"pkgedge/cache/memory"
)

// Usage has the sizes of a cache's tiers and their counts since the start.
type Usage struct {
	memory.Usage
	disk.Status
	Flights int64 `json:"flights"` // fills under way
}

// Usage returns the present usage.
func (c *Cache) Usage() Usage {
	u := Usage{Usage: c.memory.Usage(), Status: disk.Status{ScanPercent: 100}}
	if c.disk != nil {
		u.Status = c.disk.Status()
	}
	_, filling := c.flights.count()
	u.Flights = int64(filling)
	return u
}
