package cache

import "time"

// Usage is what a cache holds, and what has become of it since the start.
type Usage struct {
	MemoryBytes   int64 `json:"memory_bytes"`
	MemoryObjects int64 `json:"memory_objects"`
	DiskBytes     int64 `json:"disk_bytes"` // no less than there are, until all are scanned
	DiskObjects   int64 `json:"disk_objects"`
	Flights       int64 `json:"flights"`

	Evictions   int64 `json:"evictions"`   // from disk
	Spoiled     int64 `json:"spoiled"`     // files that failed a check
	Quarantined int64 `json:"quarantined"` // of those, the ones kept aside now
	Scrubbed    int64 `json:"scrubbed"`    // files the scrubber has read

	DiskPaused  bool  `json:"disk_paused"`  // nothing is written to disk at present, which is full or failing
	ScanPercent int64 `json:"scan_percent"` // how much of the disk DiskObjects covers
	Scanned     bool  `json:"scanned"`      // all of it
}

// Usage returns what the cache holds now.
func (c *Cache) Usage() Usage {
	bytes, objects := c.memory.used()
	u := Usage{MemoryBytes: bytes, MemoryObjects: int64(objects), ScanPercent: 100, Scanned: true}
	if d := c.disk; d != nil {
		scanned := d.scanned.Load()
		u.DiskBytes, u.DiskObjects = d.used(), d.index.Count.Load()
		u.Evictions, u.Spoiled, u.Quarantined, u.Scrubbed = d.evictions.Load(), d.spoils.Load(), int64(d.quarantine.count()), d.scrubbed.Load()
		u.DiskPaused = d.breaker.open(time.Now())
		u.ScanPercent, u.Scanned = scanned*100/directories, scanned == directories
	}
	c.mu.Lock()
	u.Flights = int64(len(c.filling))
	c.mu.Unlock()
	return u
}
