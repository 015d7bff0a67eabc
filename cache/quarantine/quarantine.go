package quarantine

import (
	"cmp"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"pkgedge/cache/fsys"
)

// MaxFiles is the number of files that are kept at most.
const MaxFiles = 16

// Quarantine keeps the newest corrupt files for inspection by an operator: up to MaxFiles, and
// up to Limit bytes. Nothing reads them.
type Quarantine struct {
	Dir   string
	Limit int64 // bytes
	Sys   fsys.Calls
	Size  func(bytes int64) int64 // the bytes that a file takes on disk

	Bytes atomic.Int64 // of all files; only to be read
	mu    sync.Mutex
	files []quarantined // oldest first
}

type quarantined struct {
	name string
	size int64 // bytes on disk
}

// Load counts the files that the previous process left.
func (q *Quarantine) Load() error {
	entries, err := q.Sys.List(q.Dir)
	type aged struct {
		quarantined
		at int64
	}
	var found []aged
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			found = append(found, aged{quarantined{e.Name(), q.Size(info.Size())}, fsys.ChangeTime(info)})
		}
	}
	slices.SortFunc(found, func(a, b aged) int { return cmp.Compare(a.at, b.at) })
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range found {
		q.files = append(q.files, f.quarantined)
		q.Bytes.Add(f.size)
	}
	q.shrink(0, 0)
	return err
}

// Add moves a file of size bytes on disk into quarantine, or removes it when it is too
// large to keep.
func (q *Quarantine) Add(path, name string, size int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if size > q.Limit {
		return q.Sys.Remove(path)
	}
	q.files = slices.DeleteFunc(q.files, func(f quarantined) bool { // the rename replaces it
		if f.name == name {
			q.Bytes.Add(-f.size)
		}
		return f.name == name
	})
	q.shrink(1, size)
	if err := q.Sys.Rename(path, filepath.Join(q.Dir, name)); err != nil {
		return q.Sys.Remove(path)
	}
	q.files = append(q.files, quarantined{name, size})
	q.Bytes.Add(size)
	return nil
}

// shrink removes the oldest files until files and bytes more fit. q.mu is held, also over
// the removals: they are rare, and no request waits for q.mu.
func (q *Quarantine) shrink(files int, bytes int64) {
	for len(q.files) > 0 && (len(q.files)+files > MaxFiles || q.Bytes.Load()+bytes > q.Limit) {
		q.Sys.Remove(filepath.Join(q.Dir, q.files[0].name)) // one that stays is found at the next start
		q.Bytes.Add(-q.files[0].size)
		q.files = q.files[1:]
	}
}

// Count is the number of files.
func (q *Quarantine) Count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.files)
}
