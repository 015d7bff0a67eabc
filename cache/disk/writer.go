package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/record"
	"pkgedge/cache/store"
)

// diskWriter writes a response into a temporary file, and renames it at Commit. There is no
// fsync: after a power cut a file is short or has a wrong checksum, and either is a miss. A
// small body of known size is held in memory, and written together with the front.
type diskWriter struct {
	disk     *Store
	sum      store.Sum
	visits   uint8
	slotLog  uint
	base     int64
	file     *os.File
	path     string // "" after a rename or a removal
	held     []byte // the front, still empty, and the body; nil for a body that is written at once
	size     int64  // body bytes written
	summer   record.Summer
	reserved int64
}

// maxHeld is the largest body, in bytes, that a writer holds.
const maxHeld = 64 << 10

func (d *Store) Create(k store.Key, draft *store.Meta, size int64) (store.Writer, error) {
	if d.Paused() {
		return nil, errPaused
	}
	slotLog, err := record.SlotLogFor(len(record.EncodeMeta(draft)) + 128*len(draft.Parts) + 128)
	if err != nil {
		return nil, err
	}
	w := &diskWriter{disk: d, sum: k.Sum(), visits: visitsOf(k), slotLog: slotLog, base: record.BodyOffset(slotLog)}
	if err := w.reserve(w.base + max(size, 0)); err != nil {
		return nil, err
	}
	// Named by the process, too: the next one may have the directory when this writer ends.
	w.path = filepath.Join(d.dir, "tmp", strconv.Itoa(os.Getpid())+"-"+strconv.FormatUint(d.serial.Add(1), 36))
	if w.file, err = d.sys.Open(w.path, os.O_CREATE|os.O_EXCL|os.O_RDWR); err != nil {
		w.release()
		d.failedWrite("create", err)
		return nil, fmt.Errorf("cannot create a cache file: %w", err)
	}
	if k.Metadata {
		d.sys.Chmod(w.file, fsys.FileMode|metadataMode) // a failure costs the next scan this hint
	}
	if size >= 0 && size <= maxHeld && d.buffers != nil && d.buffers.Take(w.base+size) {
		w.held = make([]byte, w.base+size)
	}
	return w, nil
}

func (w *diskWriter) Write(p []byte) (int, error) {
	if err := w.reserve(w.base + w.size + int64(len(p))); err != nil {
		return 0, err
	}
	var n int
	var err error
	if w.held == nil {
		n, err = w.disk.sys.Write(w.file, p, w.base+w.size)
	} else if n = copy(w.held[w.base+w.size:], p); n < len(p) { // more than was announced
		err = store.ErrNoSpace
	}
	w.size += int64(n)
	w.summer.Add(p[:n])
	if err != nil && w.held == nil {
		w.disk.failed("write", err)
	}
	return n, err
}

// ReadAt reads a held body while Commit writes the front before it: they share no byte.
func (w *diskWriter) ReadAt(p []byte, off int64) (int, error) {
	if w.held != nil {
		n := copy(p, w.held[w.base+off:])
		if n < len(p) {
			return n, io.EOF
		}
		return n, nil
	}
	return w.disk.sys.Read(w.file, p, w.base+off)
}

// reserve extends the writer's reservation to total bytes.
func (w *diskWriter) reserve(total int64) error {
	more := onDisk(total) - w.reserved
	if more <= 0 {
		return nil
	}
	files := int64(1)
	if w.reserved > 0 {
		files, more = 0, max(more, reserveStep)
	}
	if err := w.disk.reserve(more, files); err != nil {
		return err
	}
	w.reserved += more
	return nil
}

func (w *diskWriter) release() {
	if w.reserved > 0 {
		w.disk.writers.Add(-1)
	}
	w.disk.reserved.Add(-w.reserved)
	w.reserved = 0
}

func (w *diskWriter) Commit(m *store.Meta) error {
	d := w.disk
	raw := record.EncodeMeta(m)
	if !record.Fits(raw, w.slotLog) {
		return record.ErrTooLarge
	}
	if m.Size() != w.size {
		return fmt.Errorf("cannot commit: %d bytes written, the parts have %d", w.size, m.Size())
	}
	sums := w.summer.Sums()
	if err := w.reserve(w.base + w.size + int64(len(sums))); err != nil {
		return err
	}
	front := record.Front(w.slotLog, raw, sums)
	if w.held != nil {
		copy(w.held, front)
		front = w.held
	}
	for _, part := range []struct {
		bytes []byte
		off   int64
	}{{sums, w.base + w.size}, {front, 0}} {
		if len(part.bytes) == 0 {
			continue
		}
		if _, err := d.sys.Write(w.file, part.bytes, part.off); err != nil {
			d.failed("write", err)
			return fmt.Errorf("cannot commit: %w", err)
		}
	}
	keyLock := d.KeyLock(w.sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	if d.closed.Load() {
		return errClosed
	}
	if d.Newer(w.sum, m) {
		return store.ErrGone
	}
	path := d.Path(w.sum)
	err := d.sys.Rename(w.path, path)
	if errors.Is(err, os.ErrNotExist) { // the first of its directory
		if err = d.sys.Mkdir(filepath.Dir(path)); err == nil {
			err = d.sys.Rename(w.path, path)
		}
	}
	if err != nil {
		d.failedWrite("rename", err)
		return fmt.Errorf("cannot commit: %w", err)
	}
	w.path = ""
	if d.files.Some.Load() {
		d.files.Drop(w.sum)
	}
	d.Index.Commit(w.sum, onDisk(w.base+w.size+int64(len(sums))), w.visits) // before release: no other writer may take the space
	w.release()
	d.Index.SetVerified(w.sum, d.changeTime(w.file)) // after the rename, which moves the change time
	d.breaker.heal(time.Now())
	return nil
}

// Newer reports whether a newer response than m is stored: of two fetches, the one that
// began first may end last. The key lock is held.
func (d *Store) Newer(sum store.Sum, m *store.Meta) bool {
	if d.absent(sum) {
		return false
	}
	f, h, _, err := d.openHead(sum, readOnly)
	if err != nil {
		return false
	}
	f.Close()
	return h.Meta.Version > m.Version && h.Meta.Site == m.Site && h.Meta.Key == m.Key
}

func (w *diskWriter) Abort() {
	w.file.Close()
	if w.held != nil {
		w.disk.buffers.Release(int64(len(w.held)))
		w.held = nil
	}
	if w.path != "" {
		err := w.disk.sys.Remove(w.path)
		w.path = ""
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			w.disk.failed("remove", err)
			return // the file takes space until the next start, so the reservation stays
		}
	}
	w.release()
}

// changeTime is the time of f's last write or rename, in nanoseconds. It is 0 when unknown,
// which verifies nothing.
func (d *Store) changeTime(f *os.File) int64 {
	info, err := d.sys.Stat(f)
	if err != nil {
		return 0
	}
	return fsys.ChangeTime(info)
}

// Bounds of the pause without writes after a disk failed. The pause doubles with each
// failure after a pause. The first commit that succeeds resets it.
const (
	shortestPause = 5 * time.Second
	longestPause  = time.Minute
)

// errClosed reports that the directory has been left to the next process.
var errClosed = errors.New("the disk tier is closed")

// errPaused reports that the disk failed a moment ago and is not written to.
var errPaused = errors.New("the disk tier is pausing after a failure")

// breaker keeps writes from a disk that is full or failing. Meanwhile responses stream
// through, memory keeps small ones, and stored responses are served.
type breaker struct {
	mu    sync.Mutex
	until time.Time
	pause time.Duration
}

// Open reports whether writes are paused.
func (b *breaker) Open(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Before(b.until)
}

// trip starts a pause and returns its length, 0 when one is under way.
func (b *breaker) trip(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.until) {
		return 0
	}
	b.pause = min(max(2*b.pause, shortestPause), longestPause)
	b.until = now.Add(b.pause)
	return b.pause
}

// heal forgets earlier failures after a successful write. A pause under way goes on.
func (b *breaker) heal(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !now.Before(b.until) {
		b.pause = 0
	}
}
