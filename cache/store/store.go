package store

import (
	"errors"
	"fmt"
	"io"
)

// Store keeps stored responses. Every implementation runs the conformance suite of
// storetest. The contract:
//
//   - Get returns the response that was last committed or freshened under the key, or nil.
//     Any failure inside is a nil. It never returns another key's response nor part of
//     one. The caller releases the Entry.
//   - Create starts a new response. Its bytes become visible to Get at Commit, all at once,
//     and never before. Until then only the Writer's own ReadAt sees them. draft is the Meta
//     as far as it is known, with its final number of Parts. size is a hint in bytes, -1 if
//     not known.
//   - Freshen replaces the Meta of a response and leaves its bytes. It fails when another
//     response was committed meanwhile.
//   - Remove removes the response with that Meta.Version. An Entry from before stays readable
//     until its release.
type Store interface {
	Get(Key) *Entry
	Create(k Key, draft *Meta, size int64) (Writer, error)
	Freshen(k Key, old uint64, m *Meta) error
	Remove(k Key, id uint64)
}

// Body is the bytes of a stored response, its parts at their offsets. It is safe for
// concurrent use, but for the reader that Section returns.
type Body interface {
	io.ReaderAt
	// Section returns a reader of n bytes from off on. Where the body is in a file that
	// needs no check, the reader is an io.Seeker that has InFile() (*os.File, int64), the
	// place of its next byte, for sendfile. io.EOF or an error before the last byte means
	// that the body cannot be completed.
	Section(off, n int64) (io.Reader, error)
	// Bytes is the whole body, where it is in memory.
	Bytes() ([]byte, bool)
	// Close ends the use of the body. A second Close does nothing.
	Close() error
}

// Writer receives a response's body. One goroutine writes, and any number read the written
// bytes. Commit makes the response visible. Abort drops an uncommitted response and releases
// the bytes. It ends every Writer, also a committed one, after its last reader.
type Writer interface {
	io.Writer
	io.ReaderAt
	Commit(*Meta) error
	Abort()
}

var (
	// ErrNoSpace reports that the tier cannot store these bytes within its bounds.
	ErrNoSpace = errors.New("no room in the cache")
	// ErrGone reports that the response to freshen is not the stored one any more.
	ErrGone = errors.New("stored response was replaced")
	// ErrAbsent is an ErrGone for a key without a stored response.
	ErrAbsent = fmt.Errorf("%w: by none", ErrGone)
)
