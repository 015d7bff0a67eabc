package objects

import "pkgedge/edge/fleet/figures"

// Status describes the store as it is now.
func (s *Store) Status() figures.Store {
	f := &s.counts
	st := figures.Store{
		State: "well", Queue: len(s.queue),
		Asked: f.asked.Load(), Answered: f.answered.Load(), Missing: f.missing.Load(), Failed: f.failed.Load(), Unusable: f.unusable.Load(), Bytes: f.bytes.Load(),
		Put: f.put.Load(), Had: f.had.Load(), Dropped: f.dropped.Load(), PutFailed: f.putFailed.Load(), PutBytes: f.putBytes.Load(),
		Deleted: f.deleted.Load(), Purging: s.forgets.count(),
	}
	if !s.health.usable() {
		st.State = "out"
	}
	return st
}
