package disk

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/store"
)

// Part of the file system is left to other programs: a hundredth of it and 64 MiB, a
// hundredth of its inodes and 1,024, but at most a tenth of either. When only that part is
// free, the tier has reached its growth limit: it evicts as many bytes as it writes, but for
// the excess of the last file evicted. So a program that fills the disk does not empty the
// cache.
const (
	keepBytes    = 64 << 20
	keepFiles    = 1024
	measureEvery = time.Second
	measureBytes = 8 << 20 // measure again after that many reserved bytes
)

// onDisk is the space of a file of size bytes: whole blocks, its inode and its directory
// entry.
func onDisk(size int64) int64 { return (size+4095)&^4095 + 512 }

// growthLimit is the size up to which the tier may grow, as measured at a moment. Its files
// count from the number at the start.
type growthLimit struct {
	at           time.Time
	promised     int64 // Store.promised at the measurement
	bytes, files int64
}

// Used is an upper bound of the bytes of the tier's files.
func (d *Store) Used() int64 { return d.Index.Used.Load() + d.unevictable() }

// unevictable is the part of Used that eviction cannot free: unseen files, files that are
// being removed, and quarantine.
func (d *Store) unevictable() int64 {
	return d.Index.Leaving.Load() + d.Index.Unrecorded() + d.quarantine.Bytes.Load()
}

// growthLimit measures the file system, at most once in measureEvery or measureBytes.
func (d *Store) growthLimit() growthLimit {
	now, promised := time.Now(), d.promised.Load()
	if l := d.measured.Load(); l != nil && now.Sub(l.at) < measureEvery && promised-l.promised < measureBytes {
		return *l
	}
	l := growthLimit{now, promised, math.MaxInt64, math.MaxInt64}
	if s, err := d.sys.Space(d.dir); err == nil {
		l.bytes = d.Used() + spare(s.Free, s.Total, keepBytes)
		if s.Files > 0 {
			l.files = d.Index.Files() + spare(s.FreeFiles, s.Files, keepFiles)
		}
	}
	d.measured.Store(&l)
	return l
}

// spare is the part of free that the tier may take.
func spare(free, total, keep int64) int64 {
	return max(0, free-min(max(total/100, keep), total/10))
}

// reserve reserves need bytes and files for a writer, and evicts until they fit. files is 1
// for a writer's first reservation. A reservation that cannot fit evicts nothing.
func (d *Store) reserve(need, files int64) error {
	if d.closed.Load() {
		return errClosed
	}
	d.promised.Add(need)
	if !d.reserveBytes(need) {
		return store.ErrNoSpace
	}
	d.writers.Add(files)
	err := d.makeSpace(need, files)
	if err == nil {
		if total := d.Used() + d.reserved.Load(); total > d.watermark.noted.Load() {
			err = d.watermark.allow(total)
		}
		if err != nil {
			d.failedWrite("count", err)
		}
	}
	if err != nil {
		d.reserved.Add(-need)
		d.writers.Add(-files)
	}
	return err
}

// reserveBytes counts need bytes as reserved, unless they cannot fit after any eviction. A
// refused reservation counts at no moment, or other writers would evict for it.
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

// makeSpace evicts for a reservation of need bytes and files. Beyond the growth limit it
// evicts at most the reservation's own size: other writers evict for theirs, and other
// programs took the rest. There all reservations together displace at most half of the tier,
// because a body of unknown size may turn out too large to keep.
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
	return d.evictTo(d.limit, d.maxFiles)
}

// evictTo evicts until the tier has at most bytes, and Index at most files, both with
// reservations.
func (d *Store) evictTo(bytes, files int64) error {
	for d.Used()+d.reserved.Load() > bytes || d.Index.Count.Load()+d.writers.Load() > files {
		if _, err := d.Evict(); err != nil {
			return err
		}
	}
	return nil
}

// Evict evicts one file, and returns its size on disk.
func (d *Store) Evict() (size int64, err error) {
	sum, size, ok := d.Index.Evict()
	if !ok {
		return 0, store.ErrNoSpace
	}
	return size, d.unlink(sum, size)
}

// unlink removes the file of an evicted entry, unless the key is in Index again: by a commit
// or by a look-up that found the file.
func (d *Store) unlink(sum store.Sum, size int64) error {
	keyLock := d.KeyLock(sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	defer d.Index.Left(sum, size)
	if d.closed.Load() {
		d.Index.Restore(sum, size)
		return errClosed
	}
	if d.Index.Has(sum) {
		return nil
	}
	if err := d.sys.Remove(d.Path(sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.Index.Restore(sum, size) // the file still takes space
		d.failed("evict", err)
		return fmt.Errorf("cannot evict: %w", err)
	}
	d.evictions.Add(1)
	d.files.Drop(sum)
	return nil
}

// crc32c is the polynomial of every checksum.
var crc32c = crc32.MakeTable(crc32.Castagnoli)

// watermark is the usage watermark: a number in a file that the tier's bytes never exceed.
// It is raised in steps, each synced before the bytes it allows are written. So a killed
// edge leaves an upper bound of its bytes, which the next one uses until its scan ends.
//
// The file has one line, "crc32c bytes", which is written in place. Without a readable file
// the limit is the upper bound.
type watermark struct {
	path  string
	limit int64
	sys   fsys.Calls

	noted  atomic.Int64
	mu     sync.Mutex // held over the file's I/O, which is rare
	closed bool       // the file is another process's
}

// step is the number of bytes it is raised by: a 64th of the limit.
func (c *watermark) step() int64 { return max(c.limit/64, 1<<20) }

// read returns the watermark of the previous process.
func (c *watermark) read() int64 {
	f, err := c.sys.Open(c.path, os.O_RDONLY)
	if err != nil {
		return c.limit
	}
	defer f.Close()
	line := make([]byte, 64)
	n, _ := c.sys.Read(f, line, 0)
	line = line[:n]
	var bytes int64
	if _, err := fmt.Sscanf(string(line[min(n, 9):]), "%d\n", &bytes); err != nil || bytes < 0 || !sameLine(line, bytes) {
		return c.limit
	}
	c.noted.Store(bytes)
	return bytes
}

func sameLine(line []byte, n int64) bool { return bytes.Equal(line, watermarkLine(n)) }

func watermarkLine(n int64) []byte {
	number := fmt.Sprintf("%020d\n", n)
	return fmt.Appendf(nil, "%08x %s", crc32.Checksum([]byte(number), crc32c), number)
}

// allow raises the watermark to total or more, and returns after the sync.
func (c *watermark) allow(total int64) error {
	if total <= c.noted.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if total <= c.noted.Load() {
		return nil
	}
	if c.closed {
		return errClosed
	}
	return c.note(max(total, min(total+c.step(), c.limit)))
}

// lower brings the watermark down to total and more. Bytes that are allowed meanwhile count
// in total.
func (c *watermark) lower(total func() int64, more int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to := total() + more
	if to >= c.noted.Load() || c.note(to) != nil {
		return // the higher one is valid as well
	}
	if now := total(); now > to {
		c.note(now + more)
	}
}

// close brings the watermark down to total for the last time.
func (c *watermark) close(total func() int64) {
	c.lower(total, 0)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// note writes the watermark. c.mu is held.
func (c *watermark) note(n int64) error {
	f, err := c.sys.Open(c.path, os.O_CREATE|os.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := c.sys.Write(f, watermarkLine(n), 0); err != nil {
		return err
	}
	if err := c.sys.Sync(f); err != nil {
		return err
	}
	c.noted.Store(n)
	return nil
}

// Paused reports whether nothing is written to disk: after a failure, or once the tier is
// closed.
func (d *Store) Paused() bool { return d.closed.Load() || d.breaker.Open(time.Now()) }
