package disk

// Status has the disk tier's size, its state, and its counts since the start.
type Status struct {
	DiskBytes   int64 `json:"disk_bytes"` // an upper bound until the scan ends
	DiskObjects int64 `json:"disk_objects"`

	Evictions   int64 `json:"evictions"`
	Corrupt     int64 `json:"spoiled"`     // files that failed a check
	Quarantined int64 `json:"quarantined"` // files in quarantine now
	Scrubbed    int64 `json:"scrubbed"`    // files the scrubber has read

	DiskPaused  bool  `json:"disk_paused"`  // writes are paused because the disk is full or failing
	ScanPercent int64 `json:"scan_percent"` // directories that DiskObjects covers
}

func (d *Store) Status() Status {
	return Status{
		DiskBytes: d.Used(), DiskObjects: d.Index.Count.Load(),
		Evictions: d.evictions.Load(), Corrupt: d.corrupt.Load(), Quarantined: int64(d.quarantine.Count()), Scrubbed: d.scrubbed.Load(),
		DiskPaused: d.Paused(), ScanPercent: d.scanned.Load() * 100 / directories,
	}
}
