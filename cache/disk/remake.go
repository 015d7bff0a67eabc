package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// remake makes the directory again that somebody has removed while the tier is open: without
// it the edge would go on without a disk until its restart. The files of the index are
// misses, and leave it by eviction.
//
// The new directory is locked first, as another edge may have made it, and has the journal
// of purges before it can take a response. The directory for temporary files is the last:
// without it nothing is stored.
func (d *Store) remake() error {
	d.remaking.Lock()
	defer d.remaking.Unlock()
	if d.closed.Load() {
		return fs.ErrClosed
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	if err := d.relock(); err != nil {
		return err
	}
	if err := d.checkFormat(); err != nil {
		return err
	}
	if d.remade != nil {
		if err := d.remade(); err != nil {
			return err
		}
	}
	for _, sub := range subdirectories {
		if err := os.MkdirAll(filepath.Join(d.dir, sub), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// relock locks the directory, unless the lock that is held is still its own. d.remaking is
// held.
func (d *Store) relock() error {
	f, err := d.sys.Open(filepath.Join(d.dir, "lock"), os.O_CREATE|os.O_RDWR)
	if err != nil {
		return err
	}
	there, err := d.sys.Stat(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if held, err := d.sys.Stat(d.lock); err == nil && os.SameFile(held, there) {
		return f.Close()
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("cannot lock the cache directory %q, which another edge may have made: %w", d.dir, err), f.Close())
	}
	d.lock.Close()
	d.lock = f
	return nil
}

// failedWrite is failed for an operation of a writer. A directory that is not there is made
// again, for the writers after the pause.
func (d *Store) failedWrite(op string, err error) {
	d.failed(op, err)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.remake(); err != nil {
			d.notify("remake", fmt.Errorf("cannot make the cache directory again: %w", err))
			return
		}
		d.notify("remake", fmt.Errorf("the cache directory %q was removed, and has been made again: it is empty", d.dir))
	}
}
