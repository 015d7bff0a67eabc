package disk

import (
	"cmp"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"pkgedge/cache/fsys"
)

// maxQuarantined is the number of files that quarantine keeps at most.
const maxQuarantined = 16

// quarantine keeps the newest corrupt files for inspection by an operator: up to 16 files,
// and up to a 64th of the disk tier's bytes, which count as used. The tier never reads them.
type quarantine struct {
	dir   string
	limit int64 // bytes
	sys   fsys.Calls

	bytes atomic.Int64 // of all files
	mu    sync.Mutex
	files []quarantined // oldest first
}

type quarantined struct {
	name string
	size int64 // bytes on disk
}

// load counts the files that the previous process left.
func (q *quarantine) load() error {
	entries, err := q.sys.List(q.dir)
	type aged struct {
		quarantined
		at int64
	}
	var found []aged
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			found = append(found, aged{quarantined{e.Name(), onDisk(info.Size())}, fsys.ChangeTime(info)})
		}
	}
	slices.SortFunc(found, func(a, b aged) int { return cmp.Compare(a.at, b.at) })
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range found {
		q.files = append(q.files, f.quarantined)
		q.bytes.Add(f.size)
	}
	q.shrink(0, 0)
	return err
}

// add moves a file of size bytes on disk into quarantine, or removes it when it is too
// large to keep.
func (q *quarantine) add(path, name string, size int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if size > q.limit {
		return q.sys.Remove(path)
	}
	q.files = slices.DeleteFunc(q.files, func(f quarantined) bool { // the rename replaces it
		if f.name == name {
			q.bytes.Add(-f.size)
		}
		return f.name == name
	})
	q.shrink(1, size)
	if err := q.sys.Rename(path, filepath.Join(q.dir, name)); err != nil {
		return q.sys.Remove(path)
	}
	q.files = append(q.files, quarantined{name, size})
	q.bytes.Add(size)
	return nil
}

// shrink removes the oldest files until files and bytes more fit. q.mu is held, also over
// the removals: they are rare, and no request waits for q.mu.
func (q *quarantine) shrink(files int, bytes int64) {
	for len(q.files) > 0 && (len(q.files)+files > maxQuarantined || q.bytes.Load()+bytes > q.limit) {
		q.sys.Remove(filepath.Join(q.dir, q.files[0].name)) // one that stays is found at the next start
		q.bytes.Add(-q.files[0].size)
		q.files = q.files[1:]
	}
}

func (q *quarantine) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.files)
}
