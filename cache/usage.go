package cache

import (
	"pkgedge/cache/disk"
	"pkgedge/cache/memory"
)

// Usage is what a cache holds, and what has become of it since the start.
type Usage struct {
	memory.Usage
	disk.Status
	Flights int64 `json:"flights"` // fills under way
}

// Usage returns what the cache holds now.
func (c *Cache) Usage() Usage {
	u := Usage{Usage: c.memory.Usage(), Status: disk.Status{ScanPercent: 100}}
	if c.disk != nil {
		u.Status = c.disk.Status()
	}
	_, filling := c.flights.count()
	u.Flights = int64(filling)
	return u
}
