package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"pkgedge/cache/fsys"
	"pkgedge/cache/sieve"
)

// Freshen replaces the Meta and leaves the body where it is.
func (d *disk) Freshen(k Key, old uint64, m *Meta) error {
	raw := encodeMeta(m)
	err := d.freshen(k, old, m, raw, false)
	if !errors.Is(err, errTooLarge) || len(raw) > 1<<maxSlotLog {
		return err
	}
	room := onDisk(int64(len(raw)))
	if err := d.reserve(room, 0); err != nil { // which takes turns
		return fmt.Errorf("cannot freshen: %w", err)
	}
	defer d.reserved.Add(-room)
	return d.freshen(k, old, m, raw, true)
}

// freshen writes a Meta into the slot that does not hold the present one; with
// room for it, also behind the body.
func (d *disk) freshen(k Key, old uint64, m *Meta, raw []byte, room bool) error {
	sum := k.sum()
	turn := d.turn(sum)
	turn.Lock()
	defer turn.Unlock()
	f, h, info, err := d.peek(sum, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return errNoFile
	}
	if err != nil {
		return fmt.Errorf("cannot freshen: %w", err)
	}
	defer f.Close()
	if h.meta.ID != old || h.meta.Site != k.Site || h.meta.Key != k.ID || !sameBytes(h.meta, m) {
		return errGone
	}
	vouched := d.index.Vouched(sum, fsys.ChangeTime(info))
	if slotHead+len(raw) > 1<<h.slotLog {
		if !room {
			return errTooLarge
		}
		if raw, err = d.writeTail(sum, f, &h, info.Size(), raw); err != nil {
			d.failed("freshen", err)
			return err
		}
	}
	if k.Metadata && info.Mode()&metadataMode == 0 {
		d.sys.Chmod(f, fsys.FileMode|metadataMode) // an older edge's; without it, the next start knows it less well
	}
	other := 1 - h.slot
	if _, err := d.sys.Write(f, encodeSlot(h.seq+1, raw), preambleSize+int64(other)<<h.slotLog); err != nil {
		d.failed("freshen", err)
		return fmt.Errorf("cannot freshen: %w", err)
	}
	if vouched { // the change was ours, and left the body
		d.index.Vouch(sum, d.changeTime(f))
	}
	return nil
}

// writeTail writes a Meta behind the end, and returns what its slot is to hold.
// The turn is held, and room was made.
func (d *disk) writeTail(sum Sum, f *os.File, h *head, size int64, raw []byte) ([]byte, error) {
	at := h.tailRoom(int64(len(raw)))
	d.index.Discover(sum, onDisk(size), sieve.FileVisits)
	d.index.Resize(sum, onDisk(max(size, at.end())))
	if _, err := d.sys.Write(f, raw, at.off); err != nil {
		return nil, fmt.Errorf("cannot freshen: %w", err)
	}
	return encodeAway(at.off, raw), nil
}
