package cache

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// directories is how many there are below objects.
const directories = 256

func directory(i int) string { return hex.EncodeToString([]byte{byte(i)}) }

// sumOf is the sum that a file is named by.
func sumOf(dir, name string) (sum Sum, ok bool) {
	if len(name) != 2*len(sum)-2 {
		return sum, false
	}
	n, err := hex.Decode(sum[:], []byte(dir+name))
	return sum, err == nil && n == len(sum)
}

// scanStep is how many files the scan asks about before it rests, for as long as
// they took: at most half a disk's and half a processor's time is spent on it.
const scanStep = 256

// scan fills the index with the files an earlier edge left. Until it is done,
// files are served all the same, but not counted and so not evicted.
func (d *disk) scan(stop <-chan struct{}) {
	began, left := time.Now(), scanStep
	for i := range directories {
		if stopped(stop, 0) {
			return
		}
		entries, err := d.sys.list(filepath.Join(d.dir, "objects", directory(i)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.notify("scan", err)
		}
		for _, e := range entries {
			if sum, ok := sumOf(directory(i), e.Name()); ok {
				if info, err := e.Info(); err == nil {
					d.index.add(sum, onDisk(info.Size()))
				}
			}
			if left--; left == 0 {
				if stopped(stop, time.Since(began)) {
					return
				}
				began, left = time.Now(), scanStep
			}
		}
		d.scanned.Add(1)
	}
	d.evictTo(d.levels())
}

// stopped waits, and says whether stop came meanwhile.
func stopped(stop <-chan struct{}, wait time.Duration) bool {
	if wait <= 0 {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-stop:
		return true
	case <-t.C:
		return false
	}
}
