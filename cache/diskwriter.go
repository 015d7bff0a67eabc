package cache

import (
	"fmt"
	"os"
)

// diskWriter writes a response into a temporary file of the same file system,
// and gives it its name at Commit. There is no fsync: a file that a power cut
// left short has the wrong size, and one whose blocks never arrived the wrong
// checksum, and both are a miss.
type diskWriter struct {
	disk     *disk
	sum      Sum
	slotLog  uint
	base     int64
	file     *os.File
	path     string // "" once it was renamed or removed
	size     int64  // body bytes written
	reserved int64
}

func (w *diskWriter) Write(p []byte) (int, error) {
	if err := w.reserve(w.base + w.size + int64(len(p))); err != nil {
		return 0, err
	}
	n, err := w.file.WriteAt(p, w.base+w.size)
	w.size += int64(n)
	if err != nil {
		w.disk.notify("write", err)
	}
	return n, err
}

func (w *diskWriter) ReadAt(p []byte, off int64) (int, error) {
	return w.file.ReadAt(p, w.base+off)
}

// reserve makes sure that total bytes are promised to this writer.
func (w *diskWriter) reserve(total int64) error {
	if total <= w.reserved {
		return nil
	}
	more := onDisk(total) - w.reserved
	if w.reserved > 0 {
		more = max(more, reserveStep)
	}
	if err := w.disk.reserve(more); err != nil {
		return err
	}
	w.reserved += more
	return nil
}

func (w *diskWriter) release() {
	w.disk.reserved.Add(-w.reserved)
	w.reserved = 0
}

func (w *diskWriter) Commit(m *Meta) error {
	raw, err := encodeMeta(m)
	if err != nil {
		return fmt.Errorf("cannot commit: %w", err)
	}
	if slotHead+len(raw) > 1<<w.slotLog {
		return errTooLarge
	}
	if m.Size() != w.size {
		return fmt.Errorf("cannot commit: %d bytes written, the parts have %d", w.size, m.Size())
	}
	front := make([]byte, w.base)
	copy(front, encodePreamble(w.slotLog))
	copy(front[preambleSize:], encodeSlot(1, raw))
	if _, err := w.file.WriteAt(front, 0); err != nil {
		w.disk.notify("write", err)
		return fmt.Errorf("cannot commit: %w", err)
	}
	if err := os.Rename(w.path, w.disk.path(w.sum)); err != nil {
		w.disk.notify("rename", err)
		return fmt.Errorf("cannot commit: %w", err)
	}
	w.path = ""
	w.disk.index.put(w.sum, onDisk(w.base+w.size)) // before the promise is given up: no other writer may take the room
	w.release()
	w.disk.index.vouch(w.sum, changeTime(w.file)) // after the rename, which changes it
	return nil
}

func (w *diskWriter) Abort() {
	w.release()
	if w.path != "" {
		if err := os.Remove(w.path); err != nil {
			w.disk.notify("remove", err)
		}
		w.path = ""
	}
	w.file.Close()
}
