package store

import (
	"errors"
	"fmt"
	"io"

	"pkgedge/cache/policy"
)

// Store keeps stored responses. The conformance suite that every
// implementation runs is in store_test.go. The contract:
//
//   - Get returns what was last committed or freshened under the key, or nil.
//     Whatever goes wrong inside is a nil. It never returns another key's
//     response nor part of one. The caller releases what it gets.
//   - Create starts a new response. What is written becomes visible to Get at
//     Commit, all at once, and never before; until then only the Writer's own
//     ReadAt sees it. draft is the Meta as far as it is known, with as many
//     Parts as there will be; size is a hint in bytes, -1 if not known.
//   - Freshen replaces the Meta of a response and leaves its bytes; it fails
//     when another response was committed meanwhile.
//   - Remove forgets the response with that Meta.ID; responses taken before
//     stay readable until they are released.
type Store interface {
	Get(Key) *Entry
	Create(k Key, draft *Meta, size int64) (Writer, error)
	Freshen(k Key, old uint64, m *Meta) error
	Remove(k Key, id uint64)
}

// Entry is a stored response taken from a Store. The caller releases it. Many may hold
// one Entry: nobody changes it.
type Entry struct {
	*Meta
	Body Body
}

// Body is the bytes of a stored response, its parts at their offsets. Many may read one
// at once, but for the reader that Section returns.
type Body interface {
	io.ReaderAt
	// Section returns a reader of n bytes from off on. Where the body is a file that
	// needs no check, the reader is the *os.File itself, for sendfile; it does not stop
	// after n bytes, and each Section moves its offset. io.EOF or an error before the
	// last byte means that the body cannot be completed.
	Section(off, n int64) (io.Reader, error)
	// Bytes is the whole body, where it is in memory.
	Bytes() ([]byte, bool)
	// Close ends the use of the body. A second Close does nothing.
	Close() error
}

// Release ends the use of the stored response. It may be nil.
func (e *Entry) Release() {
	if e != nil {
		e.Body.Close()
	}
}

// Policy is the part of the stored response that policy decides by, nil for a nil Entry.
func (e *Entry) Policy() *policy.Response {
	if e == nil {
		return nil
	}
	return &e.Response
}

// Writer receives a response's body. One goroutine writes; any number read what
// was written. Commit makes the response visible; Abort drops what was not
// committed and lets go of the bytes, so it ends every Writer, also a committed
// one, once nobody reads from it any more.
type Writer interface {
	io.Writer
	io.ReaderAt
	Commit(*Meta) error
	Abort()
}

var (
	// errNoRoom: the tier cannot take these bytes within its bounds.
	ErrNoSpace = errors.New("no room in the cache")
	// errGone: the response to freshen is not the stored one any more.
	ErrGone = errors.New("stored response was replaced")
	// ErrAbsent is an errGone with nothing in its place.
	ErrAbsent = fmt.Errorf("%w: by none", ErrGone)
)
