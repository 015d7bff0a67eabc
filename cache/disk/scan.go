package disk

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"time"

	"pkgedge/cache/sieve"
	"pkgedge/cache/store"
)

// directories is the number of directories below objects.
const directories = 256

func directory(i int) string { return hex.EncodeToString([]byte{byte(i)}) }

// sumOf decodes the sum from a file's name.
func sumOf(dir, name string) (sum store.Sum, ok bool) {
	if len(name) != 2*len(sum)-2 {
		return sum, false
	}
	n, err := hex.Decode(sum[:], []byte(dir+name))
	return sum, err == nil && n == len(sum)
}

// scanStep is the number of files that the scan reads before it rests for as long as they
// took. So it spends at most half of a disk's and of a processor's time.
const scanStep = 256

// scanAgain is the first wait before the scan retries an unreadable directory.
const scanAgain = 10 * time.Millisecond

// Scan fills Index with the files that the previous process left. Before it ends, all files
// are served, only an upper bound of their bytes is known, and unseen files are not evicted.
// A directory with an unreadable entry is scanned again later.
func (d *Store) Scan(stop <-chan struct{}) {
	p := scanPace{began: time.Now(), left: scanStep}
	todo := make([]int, directories)
	for i := range todo {
		todo[i] = i
	}
	for wait := scanAgain; ; wait = min(2*wait, time.Minute) {
		var failed []int
		for _, i := range todo {
			err := d.scanDirectory(directory(i), &p, stop)
			if stopped(stop, 0) {
				return
			}
			if err != nil {
				d.notify("scan", err)
				failed = append(failed, i)
				continue
			}
			d.scanned.Add(1)
		}
		if todo = failed; len(todo) == 0 {
			break
		}
		if stopped(stop, wait) {
			return
		}
	}
	d.Index.Unseen.Store(0)
	d.watermark.lower(func() int64 { return d.Used() + d.reserved.Load() }, d.watermark.step())
	d.evictTo(d.limit, d.maxFiles)
}

// scanDirectory records the files of a directory, and evicts when Index has too many.
func (d *Store) scanDirectory(dir string, p *scanPace, stop <-chan struct{}) error {
	entries, err := d.sys.List(filepath.Join(d.dir, "objects", dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if sum, ok := sumOf(dir, e.Name()); ok {
			if unread := d.scanFile(sum, e); unread != nil {
				err = unread
			}
			d.evictTo(math.MaxInt64, d.maxFiles)
		}
		if p.rest(stop) {
			break
		}
	}
	return err
}

// scanFile records a file, unless it is gone. The key lock keeps it from being removed in
// between.
func (d *Store) scanFile(sum store.Sum, e fs.DirEntry) error {
	keyLock := d.KeyLock(sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	d.Index.Discover(sum, onDisk(info.Size()), visitsOfFile(info))
	return nil
}

func visitsOfFile(info fs.FileInfo) uint8 {
	if info.Mode()&metadataMode != 0 {
		return sieve.MetadataVisits
	}
	return sieve.FileVisits
}

// scanPace rests after every scanStep files, for as long as they took.
type scanPace struct {
	began time.Time
	left  int
}

// rest counts a file, and reports whether stop was closed.
func (p *scanPace) rest(stop <-chan struct{}) bool {
	if p.left--; p.left > 0 {
		return false
	}
	if stopped(stop, time.Since(p.began)) {
		return true
	}
	p.began, p.left = time.Now(), scanStep
	return false
}

// stopped waits, and reports whether stop was closed meanwhile.
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

// metadataMode is the sticky bit, which means nothing for a file. It marks a response that
// is metadata, so that the scan knows without opening the file. It is a hint: a file that
// has lost it counts as metadata again from its next hit on.
const metadataMode = fs.ModeSticky
