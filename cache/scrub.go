package cache

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// The scrubber reads every file once in a while, for bytes that rot where no
// look-up checks them: below the file system, which leaves no change time. It
// reads no faster than scrubRate, one file at a time, and rests between rounds.
const (
	scrubRate  = 8 << 20 // bytes per second
	scrubEvery = 24 * time.Hour
)

// scrub reads everything, again and again.
func (d *disk) scrub(stop <-chan struct{}) {
	for !stopped(stop, time.Minute) { // a start has better things to do
		for i := range directories {
			entries, err := d.sys.list(filepath.Join(d.dir, "objects", directory(i)))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				d.notify("scrub", err)
			}
			for _, e := range entries {
				sum, ok := sumOf(directory(i), e.Name())
				if !ok {
					continue
				}
				read := d.scrubFile(sum)
				if stopped(stop, time.Duration(read)*time.Second/scrubRate) {
					return
				}
			}
			if stopped(stop, 0) {
				return
			}
		}
		if stopped(stop, scrubEvery) {
			return
		}
	}
}

// scrubFile checks one file, and returns how many bytes that took to read.
func (d *disk) scrubFile(sum Sum) (read int64) {
	f, h, info, err := d.front(sum, readOnly)
	if err != nil {
		return frontSize // gone, or condemned by front
	}
	defer f.Close()
	k := Key{Site: h.meta.Site, ID: h.meta.Key}
	body := &fileBody{d.sys.read, f, bodyOffset(h.slotLog)}
	switch err := verify(body, h.meta); {
	case k.sum() != sum, isDamage(err):
		d.spoiled(sum, h.meta.ID)
	case err != nil:
		d.notify("scrub", err)
	default:
		d.index.vouch(sum, changed(info))
	}
	d.scrubbed.Add(1)
	return info.Size()
}
