package disk

import (
	"io"
	"io/fs"
	"sync/atomic"

	"pkgedge/cache/fsys"
	"pkgedge/cache/record"
	"pkgedge/cache/store"
)

// Entry is the open file of a stored response, and the response's Body. Its bytes are
// unchecked until Checked has returned it. A caller that reads all of them before, and
// compares them with the parts' checksums, has checked them too.
type Entry struct {
	store.Entry
	raw      fsys.At // unchecked
	head     record.Head
	Info     fs.FileInfo
	changed  int64   // the file's change time
	verified bool    // the bytes were checked since changed
	chunks   *chunks // checks the bytes while they are read; nil before Checked, and when verified or small
	released atomic.Bool
}

func (o *Entry) ReadAt(p []byte, off int64) (int, error) {
	if o.chunks != nil {
		return o.chunks.ReadAt(p, off)
	}
	return o.raw.ReadAt(p, off)
}

func (o *Entry) Section(off, n int64) (io.Reader, error) {
	if o.chunks != nil {
		return o.chunks.reader(off, off+n), nil
	}
	_, err := o.raw.File.Seek(o.raw.Base+off, io.SeekStart)
	return o.raw.File, err
}

func (o *Entry) Bytes() ([]byte, bool) { return nil, false }

func (o *Entry) Close() error {
	if o.released.Swap(true) {
		return nil
	}
	return o.raw.File.Close()
}
