package cache

// Usage is what a cache holds, and what has become of it since the start.
type Usage struct {
	MemoryUsage
	DiskUsage
	Flights int64 `json:"flights"` // fills under way
}

// Usage returns what the cache holds now.
func (c *Cache) Usage() Usage {
	u := Usage{MemoryUsage: c.memory.usage(), DiskUsage: DiskUsage{ScanPercent: 100}}
	if c.disk != nil {
		u.DiskUsage = c.disk.usage()
	}
	c.mu.Lock()
	u.Flights = int64(len(c.filling))
	c.mu.Unlock()
	return u
}
