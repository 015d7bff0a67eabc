package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/record"
	"pkgedge/cache/store"
)

// diskWriter writes a response into a temporary file of the same file system,
// and gives it its name at Commit. There is no fsync: a file that a power cut
// left short has the wrong size, and one whose blocks never arrived the wrong
// checksum, and both are a miss.
type diskWriter struct {
	disk     *Store
	sum      store.Sum
	visits   uint8
	slotLog  uint
	base     int64
	file     *os.File
	path     string // "" once it was renamed or removed
	size     int64  // body bytes written
	summer   record.Summer
	reserved int64
}

func (d *Store) Create(k store.Key, draft *store.Meta, size int64) (store.Writer, error) {
	if d.Breaker.Open(time.Now()) {
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
	w.path = filepath.Join(d.Dir, "tmp", strconv.FormatUint(d.serial.Add(1), 36))
	if w.file, err = d.Sys.Open(w.path, os.O_CREATE|os.O_EXCL|os.O_RDWR); err != nil {
		w.release()
		d.failed("create", err)
		return nil, fmt.Errorf("cannot create a cache file: %w", err)
	}
	if k.Metadata {
		d.Sys.Chmod(w.file, fsys.FileMode|metadataMode) // without it, the next start knows it less well
	}
	return w, nil
}

func (w *diskWriter) Write(p []byte) (int, error) {
	if err := w.reserve(w.base + w.size + int64(len(p))); err != nil {
		return 0, err
	}
	n, err := w.disk.Sys.Write(w.file, p, w.base+w.size)
	w.size += int64(n)
	w.summer.Add(p[:n])
	if err != nil {
		w.disk.failed("write", err)
	}
	return n, err
}

func (w *diskWriter) ReadAt(p []byte, off int64) (int, error) {
	return w.disk.Sys.Read(w.file, p, w.base+off)
}

// reserve makes sure that total bytes are promised to this writer.
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
	for _, part := range []struct {
		bytes []byte
		off   int64
	}{{sums, w.base + w.size}, {front, 0}} {
		if _, err := d.Sys.Write(w.file, part.bytes, part.off); err != nil {
			d.failed("write", err)
			return fmt.Errorf("cannot commit: %w", err)
		}
	}
	keyLock := d.KeyLock(w.sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	if d.Newer(w.sum, m) {
		return store.ErrGone
	}
	path := d.Path(w.sum)
	err := d.Sys.Rename(w.path, path)
	if errors.Is(err, os.ErrNotExist) { // the first of its directory
		if err = d.Sys.Mkdir(filepath.Dir(path)); err == nil {
			err = d.Sys.Rename(w.path, path)
		}
	}
	if err != nil {
		d.failed("rename", err)
		return fmt.Errorf("cannot commit: %w", err)
	}
	w.path = ""
	d.Index.Commit(w.sum, onDisk(w.base+w.size+int64(len(sums))), w.visits) // before the promise is given up: no other writer may take the room
	w.release()
	d.Index.Vouch(w.sum, d.changeTime(w.file)) // after the rename, which changes it
	d.Breaker.heal(time.Now())
	return nil
}

// Newer says whether a newer response than m is stored: of two fetches, the one
// that began first may end last. The turn is held.
func (d *Store) Newer(sum store.Sum, m *store.Meta) bool {
	f, h, _, err := d.openHead(sum, readOnly)
	if err != nil {
		return false
	}
	f.Close()
	return h.Meta.ID > m.ID && h.Meta.Site == m.Site && h.Meta.Key == m.Key
}

func (w *diskWriter) Abort() {
	w.file.Close()
	if w.path != "" {
		err := w.disk.Sys.Remove(w.path)
		w.path = ""
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			w.disk.failed("remove", err)
			return // it takes its room until the next start, so the promise stays
		}
	}
	w.release()
}
