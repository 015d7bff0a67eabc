package disk

import (
	"errors"
	"io"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/record"
	"pkgedge/cache/store"
)

// The scrubber finds bytes that rot below the file system, which leaves no change time. It
// reads one file at a time, no faster than scrubRate, at an eighth of that while clients
// read from the disk, and pauses for scrubEvery between passes.
const (
	scrubRate  = 8 << 20 // bytes per second
	scrubYield = 8
	scrubEvery = 24 * time.Hour
)

// Scrub checks all files, pass after pass, until stop is closed.
func (d *Store) Scrub(stop <-chan struct{}) {
	p := &scrubPace{disk: d, stop: stop, rate: scrubRate}
	for !stopped(stop, time.Minute) { // requests after a start go first
		d.walk("scrub", func(sum store.Sum) bool {
			d.scrubFile(sum, p)
			return !stopped(stop, 0)
		})
		if stopped(stop, scrubEvery) {
			return
		}
	}
}

// scrubFile checks one file.
func (d *Store) scrubFile(sum store.Sum, p *scrubPace) {
	if p.rest(record.FrontSize) != nil {
		return
	}
	f, h, info, err := d.openHeadOrSetAside(sum, readOnly)
	if err != nil {
		return // gone, or set aside
	}
	defer f.Close()
	k := store.Key{Site: h.Meta.Site, ID: h.Meta.Key}
	file := d.sys.At(f, 0)
	if _, err = record.ReadSums(file, &h); err == nil {
		err = record.Verify(&paced{d.sys.At(f, record.BodyOffset(h.SlotLog)), p}, h.Meta)
	}
	switch {
	case errors.Is(err, errStopped):
		return
	case k.Sum() != sum, record.IsDamage(err):
		d.setAside(sum, info)
	case err != nil:
		d.notify("scrub", err)
	default:
		d.Index.SetVerified(sum, fsys.ChangeTime(info))
	}
	d.scrubbed.Add(1)
}

// errStopped ends a scrub when the tier closes.
var errStopped = errors.New("the cache is closing")

// scrubPace limits the scrubber's bytes per second.
type scrubPace struct {
	disk    *Store
	stop    <-chan struct{}
	rate    time.Duration // bytes per second
	lookups int64         // at the last rest
}

// rest waits for as long as reading n bytes may take.
func (p *scrubPace) rest(n int) error {
	wait := time.Duration(n) * time.Second / p.rate
	if lookups := p.disk.lookups.Load(); lookups != p.lookups {
		p.lookups = lookups
		wait *= scrubYield
	}
	if stopped(p.stop, wait) {
		return errStopped
	}
	return nil
}

// paced is a body that is read at a scrubPace.
type paced struct {
	io.ReaderAt
	pace *scrubPace
}

func (p *paced) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.ReaderAt.ReadAt(b, off)
	if rest := p.pace.rest(n); rest != nil {
		err = rest
	}
	return n, err
}
