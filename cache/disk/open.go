package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"pkgedge/cache/fsys"
	"pkgedge/cache/openfile"
	"pkgedge/cache/quarantine"
	"pkgedge/cache/record"
	"pkgedge/cache/sieve"
)

// subdirectories are those that the tier has, the one that all writers need last.
var subdirectories = [...]string{"", "quarantine", "objects", "tmp"}

// Config says how large the tier is and where it lives.
type Config struct {
	Sys      fsys.Calls
	Dir      string // which the tier owns
	Limit    int64  // bytes
	MaxFiles int64  // that the index may have; 0 for any number

	// Buffers counts the small bodies that writers hold. nil has them hold none.
	Buffers Buffers
	// Remade is called before a directory that was removed, and made again, takes responses.
	// It may be nil.
	Remade func() error
	// Notify is called with each failure, which is a miss for the request.
	Notify func(op string, err error)
}

// Buffers counts bytes in memory. Take reserves n, or none and is false.
type Buffers interface {
	Take(n int64) bool
	Release(n int64)
}

// Open takes possession of the directory, which must be writable and not in use.
func Open(cfg Config) (*Store, error) {
	sys, dir := cfg.Sys, cfg.Dir
	d := &Store{
		sys: sys, dir: dir, limit: cfg.Limit, maxFiles: cmp.Or(cfg.MaxFiles, math.MaxInt64),
		buffers: cfg.Buffers, remade: cfg.Remade, notify: rateLimited(cfg.Notify), Index: sieve.New(),
		checks:     checks{running: make(map[checked]*check)},
		files:      openfile.NewTable(),
		quarantine: quarantine.Quarantine{Dir: filepath.Join(dir, "quarantine"), Limit: cfg.Limit / 64, Sys: sys, Size: onDisk},
		watermark:  watermark{path: filepath.Join(dir, "used"), limit: cfg.Limit, sys: sys},
		fronts:     sync.Pool{New: func() any { return new([record.FrontSize]byte) }},
		chunkBufs:  sync.Pool{New: func() any { return new([record.ChunkSize]byte) }},
	}
	for _, sub := range subdirectories {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the cache directory: %w", err)
		}
	}
	var err error
	if d.lock, err = sys.Open(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR); err != nil {
		return nil, fmt.Errorf("cannot write to the cache directory: %w", err)
	}
	if err := d.prepare(); err != nil {
		d.lock.Close()
		return nil, err
	}
	return d, nil
}

// ErrInUse reports that another process has the directory.
var ErrInUse = errors.New("in use by another edge")

// prepare locks the directory, checks its format and removes temporary files.
func (d *Store) prepare() error {
	switch err := syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("the cache directory %q is %w: give each its own cache.dir", d.dir, ErrInUse)
	case err != nil:
		return fmt.Errorf("cannot lock the cache directory %q: %w", d.dir, err)
	}
	if err := d.checkFormat(); err != nil {
		return err
	}
	if err := errors.Join(d.removeTemporary(), d.quarantine.Load()); err != nil {
		d.notify("start", fmt.Errorf("cannot clean up: %w", err))
	}
	d.Index.Unseen.Store(max(0, d.earlierBytes()-d.quarantine.Bytes.Load()))
	return errors.Join(d.readClosedMark(), d.tryCreate())
}

// closedMark is the content of the lock file after a close.
const closedMark = "closed\n"

// readClosedMark finds out whether the previous process closed the tier, and removes the
// mark.
func (d *Store) readClosedMark() error {
	have := make([]byte, len(closedMark))
	d.sys.Read(d.lock, have, 0) // an unreadable mark counts as none
	d.crashed = string(have) != closedMark && d.Index.Unseen.Load() > 0
	err := d.sys.Cut(d.lock, 0)
	if err == nil {
		err = d.sys.Sync(d.lock)
	}
	if err != nil && !fsys.IsFull(err) {
		return fmt.Errorf("cannot write to the cache directory: %w", err)
	}
	return nil
}

// removeTemporary removes the files that the previous process did not commit. A file that
// cannot be removed counts as reserved.
func (d *Store) removeTemporary() error {
	left, errs := d.sys.List(filepath.Join(d.dir, "tmp"))
	for _, e := range left {
		err := d.sys.Remove(filepath.Join(d.dir, "tmp", e.Name()))
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		errs = errors.Join(errs, err)
		if info, err := e.Info(); err == nil {
			d.reserved.Add(onDisk(info.Size()))
		}
	}
	return errs
}

// earlierBytes is an upper bound of the bytes that the previous process left.
func (d *Store) earlierBytes() int64 {
	if have, err := d.sys.List(filepath.Join(d.dir, "objects")); err == nil && len(have) == 0 {
		return 0
	}
	return d.watermark.read()
}

// tryCreate finds out whether files can be created. A full disk is no error: it passes.
func (d *Store) tryCreate() error {
	path := filepath.Join(d.dir, "tmp", "try")
	f, err := d.sys.Open(path, os.O_CREATE|os.O_RDWR)
	if err == nil {
		err = errors.Join(f.Close(), d.sys.Remove(path))
	}
	if fsys.IsFull(err) {
		d.failed("start", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot write to the cache directory: %w", err)
	}
	return nil
}

func (d *Store) checkFormat() error {
	f, err := d.sys.Open(filepath.Join(d.dir, "format"), os.O_CREATE|os.O_RDWR)
	if err != nil {
		if fsys.IsFull(err) {
			return nil
		}
		return fmt.Errorf("cannot write to the cache directory: %w", err)
	}
	defer f.Close()
	have := make([]byte, 20)
	size, err := d.sys.Read(f, have, 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("cannot read the cache directory: %w", err)
	}
	// A power cut may have left anything here. Every cache file has its format too, so
	// only another number counts.
	switch n, err := strconv.Atoi(strings.TrimSpace(string(have[:size]))); {
	case err == nil && n > diskFormat:
		return fmt.Errorf("the cache directory %q has format %d and this edge writes %d: use a newer edge, or another cache.dir",
			d.dir, n, diskFormat)
	case err == nil && n == diskFormat:
		return nil
	}
	// An older edge cannot read the new files, and is refused from now on.
	if err = d.sys.Cut(f, 0); err == nil {
		_, err = d.sys.Write(f, []byte(strconv.Itoa(diskFormat)+"\n"), 0)
	}
	if err != nil && !fsys.IsFull(err) {
		return fmt.Errorf("cannot write to the cache directory: %w", err)
	}
	return nil
}

// awaitHolder waits for the goroutine that holds mu.
func awaitHolder(mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
}

// Close gives the directory to the next process. Stored responses are found afterwards, too,
// while nothing is changed: a change is made under its key's lock, and finds the tier closed
// there, or has ended when Close goes on.
func (d *Store) Close() error {
	if d.closed.Swap(true) {
		return nil // another process may have the directory by now
	}
	for i := range d.keyLocks {
		awaitHolder(&d.keyLocks[i])
	}
	d.files.Close()
	d.remaking.Lock()
	defer d.remaking.Unlock()
	d.watermark.close(func() int64 { return d.Used() + d.reserved.Load() })
	if !d.crashed || d.toldCrash.Load() {
		if _, err := d.sys.Write(d.lock, []byte(closedMark), 0); err == nil {
			d.sys.Sync(d.lock) // after the sync evicted files stay evicted
		}
	}
	return d.lock.Close()
}
