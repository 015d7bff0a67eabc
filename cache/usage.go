package cache

import "time"

// Usage is what a cache holds, and what has become of it since the start.
type Usage struct {
	MemoryBytes, DiskBytes     int64
	MemoryObjects, DiskObjects int64
	Flights                    int64

	Evictions   int64 // from disk
	Spoiled     int64 // files that failed a check
	Quarantined int64 // of those, the ones kept aside now
	Scrubbed    int64 // files the scrubber has read

	DiskPaused  bool  // nothing is written to disk at present, which is full or failing
	ScanPercent int64 // how much of the disk the figures above cover
	Scanned     bool  // all of it
}

// Usage returns what the cache holds now.
func (c *Cache) Usage() Usage {
	bytes, objects := c.memory.used()
	u := Usage{MemoryBytes: bytes, MemoryObjects: int64(objects), ScanPercent: 100, Scanned: true}
	if d := c.disk; d != nil {
		scanned := d.scanned.Load()
		u.DiskBytes, u.DiskObjects = d.used(), d.index.count.Load()
		u.Evictions, u.Spoiled, u.Quarantined, u.Scrubbed = d.evictions.Load(), d.spoils.Load(), int64(d.quarantine.count()), d.scrubbed.Load()
		u.DiskPaused = d.breaker.open(time.Now())
		u.ScanPercent, u.Scanned = scanned*100/directories, scanned == directories
	}
	c.mu.Lock()
	u.Flights = int64(len(c.flights))
	c.mu.Unlock()
	return u
}
