package cache

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// disk is the disk tier: one file for each stored response, found by its key's
// digest. The file system is the index; what is in memory beside it serves
// eviction only. See docs/decisions/0003.
type disk struct {
	dir      string
	limit    int64 // bytes
	index    *index
	reserved atomic.Int64 // bytes promised to writers, not yet in index
	serial   atomic.Uint64
	lock     *os.File
	notify   func(op string, err error) // told of trouble, which is a miss for everybody else

	spoils    atomic.Int64 // files that failed a check
	evictions atomic.Int64
	scanned   atomic.Bool // every file is in index
}

const (
	diskFormat = 1
	// reserveStep is how much a writer of unknown size reserves at a time.
	reserveStep = 1 << 20
)

// openDisk takes possession of dir, which must be writable and not in use.
func openDisk(dir string, limit int64, notify func(string, error)) (*disk, error) {
	d := &disk{dir: dir, limit: limit, index: newIndex(), notify: notify}
	for _, sub := range []string{"", "objects", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the cache directory: %w", err)
		}
	}
	var err error
	if d.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("cannot write to the cache directory: %w", err)
	}
	if err := syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		d.lock.Close()
		return nil, fmt.Errorf("the cache directory %q is in use by another edge: give each its own cache.dir", dir)
	}
	if err := d.checkFormat(); err != nil {
		d.lock.Close()
		return nil, err
	}
	// What a stopped edge was writing was never committed.
	leftovers, _ := os.ReadDir(filepath.Join(dir, "tmp"))
	for _, e := range leftovers {
		os.Remove(filepath.Join(dir, "tmp", e.Name()))
	}
	for i := range 256 {
		if err := os.MkdirAll(filepath.Join(dir, "objects", hex.EncodeToString([]byte{byte(i)})), 0o700); err != nil {
			d.lock.Close()
			return nil, fmt.Errorf("cannot make the cache directory: %w", err)
		}
	}
	return d, nil
}

func (d *disk) checkFormat() error {
	path := filepath.Join(d.dir, "format")
	have, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return writeFormat(path)
	case err != nil:
		return fmt.Errorf("cannot read the cache directory: %w", err)
	}
	// A power cut may have left anything here. Every cache file says its format
	// too, so only a number that is not ours counts.
	switch n, err := strconv.Atoi(strings.TrimSpace(string(have))); {
	case err != nil || n < diskFormat:
		return writeFormat(path)
	case n > diskFormat:
		return fmt.Errorf("the cache directory %q has format %d and this edge writes %d: use a newer edge, or another cache.dir",
			d.dir, n, diskFormat)
	}
	return nil
}

func writeFormat(path string) error {
	if err := os.WriteFile(path, []byte(strconv.Itoa(diskFormat)+"\n"), 0o600); err != nil {
		return fmt.Errorf("cannot write to the cache directory: %w", err)
	}
	return nil
}

func (d *disk) path(s Sum) string {
	name := hex.EncodeToString(s[:])
	return filepath.Join(d.dir, "objects", name[:2], name[2:])
}

// scan fills the index with the files an earlier edge left. Until it is done,
// files are served all the same, but not counted and so not evicted.
func (d *disk) scan(stop <-chan struct{}) {
	for i := range 256 {
		select {
		case <-stop:
			return
		default:
		}
		prefix := hex.EncodeToString([]byte{byte(i)})
		entries, err := os.ReadDir(filepath.Join(d.dir, "objects", prefix))
		if err != nil {
			d.notify("scan", err)
			continue
		}
		for _, e := range entries {
			var sum Sum
			raw, err := hex.DecodeString(prefix + e.Name())
			info, infoErr := e.Info()
			if err != nil || len(raw) != len(sum) || infoErr != nil {
				continue
			}
			copy(sum[:], raw)
			d.index.known(sum, onDisk(info.Size()))
		}
	}
	d.scanned.Store(true)
	d.evictTo(d.limit)
}

// onDisk is what a file of that many bytes takes: whole blocks, and its inode.
func onDisk(size int64) int64 { return (size+4095)&^4095 + 512 }

func (d *disk) Get(k Key) *Stored {
	s, changed := d.open(k)
	if s == nil {
		return nil
	}
	sum := k.sum()
	if d.index.vouched(sum, changed) {
		return s
	}
	if err := verify(s.Body, s.Meta); err != nil {
		s.Release()
		d.spoiled(k, s.ID)
		return nil
	}
	d.index.vouch(sum, changed)
	return s
}

// open opens a file and checks its front, and returns when it was changed.
func (d *disk) open(k Key) (*Stored, int64) {
	sum := k.sum()
	f, err := os.Open(d.path(sum))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.notify("open", err)
		}
		return nil, 0
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		d.notify("stat", err)
		return nil, 0
	}
	h, err := readHead(f, info.Size())
	if err != nil {
		f.Close()
		if errors.Is(err, errFormat) || errors.Is(err, errDamaged) || errors.Is(err, errNotRecord) {
			d.notify("read", fmt.Errorf("%w: %s", err, d.path(sum)))
			d.discard(sum)
			d.spoils.Add(1)
			return nil, 0
		}
		d.notify("read", err)
		return nil, 0
	}
	if h.meta.Site != k.Site || h.meta.Key != k.ID {
		f.Close() // another key with this sum, or two files swapped by hand
		return nil, 0
	}
	d.index.known(sum, onDisk(info.Size()))
	base := bodyOffset(h.slotLog)
	return &Stored{Meta: h.meta, Body: offsetReader{f, base}, file: f, base: base}, changed(info)
}

// spoiled drops a file whose bytes failed a check.
func (d *disk) spoiled(k Key, id uint64) {
	d.spoils.Add(1)
	d.notify("check", fmt.Errorf("%w: %s", errDamaged, d.path(k.sum())))
	d.Remove(k, id)
}

func (d *disk) Remove(k Key, id uint64) {
	s, _ := d.open(k)
	if s == nil || s.ID != id {
		s.Release()
		return
	}
	s.Release()
	d.discard(k.sum())
}

// discard removes a file. A commit of the same key at the same moment can lose
// its file to this, and leave an entry in the index that names none: that is a
// miss, and the entry goes when its turn to be evicted comes.
func (d *disk) discard(sum Sum) {
	d.index.remove(sum)
	if err := os.Remove(d.path(sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.notify("remove", err)
	}
}

// Freshen writes a new Meta into the slot that does not hold the present one.
func (d *disk) Freshen(k Key, old uint64, m *Meta) error {
	f, err := os.OpenFile(d.path(k.sum()), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return fmt.Errorf("cannot freshen: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot freshen: %w", err)
	}
	h, err := readHead(f, info.Size())
	if err != nil {
		return fmt.Errorf("cannot freshen: %w", err)
	}
	if h.meta.ID != old || h.meta.Key != k.ID || !sameBytes(h.meta, m) {
		return errGone
	}
	raw, err := encodeMeta(m)
	if err != nil {
		return fmt.Errorf("cannot freshen: %w", err)
	}
	if slotHead+len(raw) > 1<<h.slotLog {
		d.discard(k.sum())
		return errTooLarge
	}
	other := 1 - h.slot
	vouched := d.index.vouched(k.sum(), changed(info))
	if _, err := f.WriteAt(encodeSlot(h.seq+1, raw), preambleSize+int64(other)<<h.slotLog); err != nil {
		return fmt.Errorf("cannot freshen: %w", err)
	}
	if vouched { // the change was ours, and left the body
		d.index.vouch(k.sum(), changeTime(f))
	}
	return nil
}

func (d *disk) Create(k Key, draft *Meta, size int64) (Writer, error) {
	raw, err := encodeMeta(draft)
	if err != nil {
		return nil, err
	}
	slotLog, err := slotLogFor(len(raw) + 128*len(draft.Parts) + 128)
	if err != nil {
		return nil, err
	}
	w := &diskWriter{disk: d, sum: k.sum(), slotLog: slotLog, base: bodyOffset(slotLog)}
	if err := w.reserve(w.base + max(size, 0)); err != nil {
		return nil, err
	}
	w.path = filepath.Join(d.dir, "tmp", strconv.FormatUint(d.serial.Add(1), 36))
	if w.file, err = os.OpenFile(w.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		w.release()
		d.notify("create", err)
		return nil, fmt.Errorf("cannot create a cache file: %w", err)
	}
	return w, nil
}

// reserve promises need more bytes to a writer, and evicts until they fit under
// the limit. What writers were promised is not evicted for, so all of them
// together cannot empty the cache for a promise that cannot be kept.
func (d *disk) reserve(need int64) error {
	if d.reserved.Add(need) > d.limit {
		d.reserved.Add(-need)
		return errNoRoom
	}
	if err := d.evictTo(d.limit); err != nil {
		d.reserved.Add(-need)
		return err
	}
	return nil
}

func (d *disk) evictTo(limit int64) error {
	for d.index.used.Load()+d.reserved.Load() > limit {
		sum, _, ok := d.index.evict()
		if !ok {
			return errNoRoom
		}
		d.evictions.Add(1)
		if err := os.Remove(d.path(sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.notify("evict", err)
		}
	}
	return nil
}

func (d *disk) close() error { return d.lock.Close() }

// offsetReader reads a body that begins at base.
type offsetReader struct {
	file *os.File
	base int64
}

func (r offsetReader) ReadAt(p []byte, off int64) (int, error) { return r.file.ReadAt(p, r.base+off) }
