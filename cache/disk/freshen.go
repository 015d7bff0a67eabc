package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"pkgedge/cache/fsys"
	"pkgedge/cache/record"
	"pkgedge/cache/sieve"
	"pkgedge/cache/store"
)

// Freshen replaces the Meta and leaves the body where it is.
func (d *Store) Freshen(k store.Key, old uint64, m *store.Meta) error {
	raw := record.EncodeMeta(m)
	err := d.freshen(k, old, m, raw, false)
	if !errors.Is(err, record.ErrTooLarge) || len(raw) > 1<<record.MaxSlotLog {
		return err
	}
	tail := onDisk(int64(len(raw)))
	if err := d.reserve(tail, 0); err != nil { // evicts, which takes key locks
		return fmt.Errorf("cannot freshen: %w", err)
	}
	defer d.reserved.Add(-tail)
	return d.freshen(k, old, m, raw, true)
}

// freshen writes a Meta into the slot without the present one. With mayGrow, a Meta that
// outgrew its slot goes behind the body.
func (d *Store) freshen(k store.Key, old uint64, m *store.Meta, raw []byte, mayGrow bool) error {
	sum := k.Sum()
	keyLock := d.KeyLock(sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	if d.closed.Load() {
		return errClosed
	}
	f, h, info, err := d.openHead(sum, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return store.ErrAbsent
	}
	if err != nil {
		return fmt.Errorf("cannot freshen: %w", err)
	}
	defer f.Close()
	if h.Meta.Version != old || h.Meta.Site != k.Site || h.Meta.Key != k.ID || !store.SameBytes(h.Meta, m) {
		return store.ErrGone
	}
	verified := d.Index.Verified(sum, fsys.ChangeTime(info))
	if !record.Fits(raw, h.SlotLog) {
		if !mayGrow {
			return record.ErrTooLarge
		}
		if raw, err = d.writeTail(sum, f, &h, info.Size(), raw); err != nil {
			d.failed("freshen", err)
			return err
		}
	}
	if k.Metadata && info.Mode()&metadataMode == 0 {
		d.sys.Chmod(f, fsys.FileMode|metadataMode) // a file of an older edge; a failure costs the next scan this hint
	}
	slot, at := h.OtherSlot(raw)
	if _, err := d.sys.Write(f, slot, at); err != nil {
		d.failed("freshen", err)
		return fmt.Errorf("cannot freshen: %w", err)
	}
	d.files.Drop(sum)
	if verified { // this write moved the change time and left the body
		d.Index.SetVerified(sum, d.changeTime(f))
	}
	return nil
}

// writeTail writes a Meta behind the body and its sums, and returns the bytes of the slot
// that points to it. The key lock is held, and space is reserved.
func (d *Store) writeTail(sum store.Sum, f *os.File, h *record.Head, size int64, raw []byte) ([]byte, error) {
	at := h.TailExtent(int64(len(raw)))
	d.Index.Discover(sum, onDisk(size), sieve.FileVisits)
	d.Index.Resize(sum, onDisk(max(size, at.End())))
	if _, err := d.sys.Write(f, raw, at.Off); err != nil {
		return nil, fmt.Errorf("cannot freshen: %w", err)
	}
	return record.EncodeTailSlot(at.Off, raw), nil
}
