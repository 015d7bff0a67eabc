package disk

import (
	"io"
	"sync/atomic"

	"pkgedge/cache/openfile"
	"pkgedge/cache/store"
)

// File is the open file of a stored response.
type File = openfile.File

// Entry is a stored response in an open file, and the response's Body. Its bytes are
// unchecked until Checked has returned it. A caller that reads all of them before, and
// compares them with the parts' checksums, has checked them too.
type Entry struct {
	store.Entry
	*File
	ticket   uint64  // of the table of open files
	verified bool    // the bytes were checked since Changed
	chunks   *chunks // checks the bytes while they are read; nil before Checked, and when verified or small
	released atomic.Bool
}

// Verified returns the open file where its bytes were checked, so that any part of it may be
// sent, and nil otherwise.
func (o *Entry) Verified() *File {
	if !o.verified {
		return nil
	}
	return o.File
}

func (o *Entry) ReadAt(p []byte, off int64) (int, error) {
	if o.chunks != nil {
		return o.chunks.ReadAt(p, off)
	}
	return o.Raw.ReadAt(p, off)
}

func (o *Entry) Section(off, n int64) (io.Reader, error) {
	if o.chunks != nil {
		return o.chunks.reader(off, off+n), nil
	}
	return openfile.NewSection(o, o.File, off, n), nil
}

func (o *Entry) Bytes() ([]byte, bool) { return nil, false }

func (o *Entry) Close() error {
	if o.released.Swap(true) {
		return nil
	}
	return o.File.Close()
}
