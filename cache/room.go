package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"
)

// Some of the file system is left to others: a hundredth of it and 64 MiB, a
// hundredth of its inodes and 1,024, but no more than a tenth of either. Once that is all there
// is, the tier makes room for what it takes in, and does not grow. It does not
// shrink either: whoever fills the disk must not empty the cache.
const (
	keepBytes    = 64 << 20
	keepFiles    = 1024
	measureEvery = time.Second
	measureBytes = 8 << 20 // and whenever that much was promised
)

// onDisk is what a file of that many bytes takes: whole blocks, its inode, and
// its directory entry.
func onDisk(size int64) int64 { return (size+4095)&^4095 + 512 }

// levels are how far the tier may grow, as measured at a moment: files from how
// many there were at the start.
type levels struct {
	at           time.Time
	promised     int64 // when it was measured
	bytes, files int64
}

// used is what the tier's files take, in bytes, no less than that.
func (d *disk) used() int64 { return d.index.bytes() + d.quarantine.bytes.Load() }

// levels returns how far the tier may grow now: up to its limit, and up to what
// the file system can spare.
func (d *disk) levels() levels {
	now, promised := time.Now(), d.promised.Load()
	if l := d.measured.Load(); l != nil && now.Sub(l.at) < measureEvery && promised-l.promised < measureBytes {
		return *l
	}
	l := levels{now, promised, d.limit, math.MaxInt64}
	if s, err := d.sys.space(d.dir); err == nil {
		l.bytes = min(d.limit, d.used()+spare(s.free, s.total, keepBytes))
		if s.files > 0 {
			l.files = d.index.files() + spare(s.freeFiles, s.files, keepFiles)
		}
	}
	d.measured.Store(&l)
	return l
}

// spare is how much of what is free may be taken.
func spare(free, total, keep int64) int64 {
	return max(0, free-min(max(total/100, keep), total/10))
}

// reserve promises need more bytes to a writer, and evicts until they fit. What
// writers were promised is not evicted for, so all of them together cannot empty
// the cache for a promise that cannot be kept.
func (d *disk) reserve(need int64) error {
	d.promised.Add(need)
	if d.reserved.Add(need) > d.limit {
		d.reserved.Add(-need)
		return errNoRoom
	}
	err := d.evictTo(d.levels())
	if err == nil {
		err = d.ceiling.allow(d.used() + d.reserved.Load())
		if err != nil {
			d.failed("count", err)
		}
	}
	if err != nil {
		d.reserved.Add(-need)
	}
	return err
}

// evictTo evicts until the files, and what is promised, keep to l.
func (d *disk) evictTo(l levels) error {
	for d.used()+d.reserved.Load() > l.bytes || d.index.files()+d.writers.Load() > l.files {
		sum, size, ok := d.index.evict()
		if !ok {
			return errNoRoom
		}
		if err := d.unlink(sum, size); err != nil {
			return err
		}
	}
	return nil
}

// unlink removes the file of an evicted entry, unless another one was committed
// in its place.
func (d *disk) unlink(sum Sum, size int64) error {
	defer d.index.leaving.Add(-size)
	turn := d.turn(sum)
	turn.Lock()
	defer turn.Unlock()
	if d.index.has(sum) {
		return nil
	}
	if err := d.sys.remove(d.path(sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.index.restore(sum, size) // it still takes its room
		d.failed("evict", err)
		return fmt.Errorf("cannot evict: %w", err)
	}
	d.evictions.Add(1)
	return nil
}
