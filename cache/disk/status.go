package disk

import "time"

// Status is what the disk tier holds, and what has become of it since the start.
type Status struct {
	DiskBytes   int64 `json:"disk_bytes"` // no less than there are, until all are scanned
	DiskObjects int64 `json:"disk_objects"`

	Evictions   int64 `json:"evictions"`
	Spoiled     int64 `json:"spoiled"`     // files that failed a check
	Quarantined int64 `json:"quarantined"` // of those, the ones kept aside now
	Scrubbed    int64 `json:"scrubbed"`    // files the scrubber has read

	DiskPaused  bool  `json:"disk_paused"`  // nothing is written to disk at present, which is full or failing
	ScanPercent int64 `json:"scan_percent"` // how much of the disk DiskObjects covers
}

func (d *Store) Status() Status {
	return Status{
		DiskBytes: d.Used(), DiskObjects: d.Index.Count.Load(),
		Evictions: d.evictions.Load(), Spoiled: d.corrupt.Load(), Quarantined: int64(d.quarantine.count()), Scrubbed: d.scrubbed.Load(),
		DiskPaused: d.Paused(), ScanPercent: d.scanned.Load() * 100 / directories,
	}
}

// Paused says that nothing is written to disk at present.
func (d *Store) Paused() bool { return d.Breaker.Open(time.Now()) }
