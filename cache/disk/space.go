package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"pkgedge/cache/store"
)

// Some of the file system is left to others: a hundredth of it and 64 MiB, a
// hundredth of its inodes and 1,024, but no more than a tenth of either. Once that
// is all there is, the mark is reached: the tier evicts as much as it takes in. It
// does not grow, and shrinks by what the last file evicted for a response was too
// large: whoever fills the disk must not empty the cache.
const (
	keepBytes    = 64 << 20
	keepFiles    = 1024
	measureEvery = time.Second
	measureBytes = 8 << 20 // and whenever that much was promised
)

// onDisk is what a file of that many bytes takes: whole blocks, its inode, and
// its directory entry.
func onDisk(size int64) int64 { return (size+4095)&^4095 + 512 }

// growthLimit are how far the tier may grow, as measured at a moment: files from how
// many there were at the start.
type growthLimit struct {
	at           time.Time
	promised     int64 // when it was measured
	bytes, files int64
}

// Used is what the tier's files take, in bytes, no less than that.
func (d *Store) Used() int64 { return d.Index.Used.Load() + d.unevictable() }

// fixed is what of it cannot be evicted: no file of it is known, or it is on its
// way out.
func (d *Store) unevictable() int64 {
	return d.Index.Leaving.Load() + d.Index.Unrecorded() + d.quarantine.bytes.Load()
}

// growthLimit returns how far the file system lets the tier grow now.
func (d *Store) growthLimit() growthLimit {
	now, promised := time.Now(), d.promised.Load()
	if l := d.measured.Load(); l != nil && now.Sub(l.at) < measureEvery && promised-l.promised < measureBytes {
		return *l
	}
	l := growthLimit{now, promised, math.MaxInt64, math.MaxInt64}
	if s, err := d.Sys.Space(d.Dir); err == nil {
		l.bytes = d.Used() + spare(s.Free, s.Total, keepBytes)
		if s.Files > 0 {
			l.files = d.Index.Files() + spare(s.FreeFiles, s.Files, keepFiles)
		}
	}
	d.measured.Store(&l)
	return l
}

// spare is how much of what is free may be taken.
func spare(free, total, keep int64) int64 {
	return max(0, free-min(max(total/100, keep), total/10))
}

// reserve promises a writer that many bytes more, and files, which is 1 at first,
// and evicts until they fit. Nothing is evicted for a promise that cannot be kept.
func (d *Store) reserve(need, files int64) error {
	d.promised.Add(need)
	if !d.reserveBytes(need) {
		return store.ErrNoSpace
	}
	d.writers.Add(files)
	err := d.makeSpace(need, files)
	if err == nil {
		err = d.watermark.allow(d.Used() + d.reserved.Load())
		if err != nil {
			d.failed("count", err)
		}
	}
	if err != nil {
		d.reserved.Add(-need)
		d.writers.Add(-files)
	}
	return err
}

// promise reserves need bytes, unless they do not fit even when all is evicted
// that can be. What does not fit counts at no moment, or others would evict for it.
func (d *Store) reserveBytes(need int64) bool {
	for {
		before := d.reserved.Load()
		if before+need+d.unevictable() > d.limit {
			return false
		}
		if d.reserved.CompareAndSwap(before, before+need) {
			return true
		}
	}
}

// makeSpace evicts for a promise of that many bytes and files. Where the mark is
// passed, that is what the promise itself takes, at most: of what is passed beyond
// that, others have evicted for some, and strangers have the rest. All promises
// together displace half of the tier there, for a body of unknown size may turn
// out too large to keep.
func (d *Store) makeSpace(need, files int64) error {
	l := d.growthLimit()
	need = min(need, d.Used()+d.reserved.Load()-l.bytes)
	files = min(files, d.Index.Files()+d.writers.Load()-l.files)
	if need > 0 && d.reserved.Load() > d.Index.Used.Load() || files > d.Index.Count.Load() {
		return store.ErrNoSpace
	}
	for need > 0 || files > 0 {
		size, err := d.Evict()
		if err != nil {
			return err
		}
		need -= size
		files--
	}
	return d.evictTo(d.limit, d.MaxFiles)
}

// evictTo evicts until the tier keeps to that many bytes, and its index to that
// many files, with what is promised.
func (d *Store) evictTo(bytes, files int64) error {
	for d.Used()+d.reserved.Load() > bytes || d.Index.Count.Load()+d.writers.Load() > files {
		if _, err := d.Evict(); err != nil {
			return err
		}
	}
	return nil
}

// Evict evicts one file, and returns what it took.
func (d *Store) Evict() (size int64, err error) {
	sum, size, ok := d.Index.Evict()
	if !ok {
		return 0, store.ErrNoSpace
	}
	return size, d.unlink(sum, size)
}

// unlink removes the file of an evicted entry, unless another one was committed
// in its place, or a look-up found it before it went.
func (d *Store) unlink(sum store.Sum, size int64) error {
	keyLock := d.KeyLock(sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	defer d.Index.Left(sum, size)
	if d.Index.Has(sum) {
		return nil
	}
	if err := d.Sys.Remove(d.Path(sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.Index.Restore(sum, size) // it still takes its room
		d.failed("evict", err)
		return fmt.Errorf("cannot evict: %w", err)
	}
	d.evictions.Add(1)
	return nil
}
