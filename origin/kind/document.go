package kind

import (
	"io"
	"time"
)

// Document is one form of a metadata answer, ready to be compressed and kept.
type Document struct {
	Variant     string // which form; "" where there is only one
	ContentType string
	Size        int64       // bytes that Body will write
	Body        io.WriterTo // may be written more than once, each time the same bytes

	// Until is when the same body would make another document, zero for never.
	Until time.Time

	// Needs lists paths that the document newly promises. As long as they do not
	// answer, the stored document is the better one.
	Needs []string

	// Misplaced says that it lists files that are not at their routes' paths below its
	// master: see [Digest.At].
	Misplaced bool
}

// Digest is the entry of a file in a list: the sum that its bytes must have.
type Digest struct {
	Algorithm string // "sha512", "sha384", "sha256" or "sha1"; "" where the list has none
	Sum       []byte

	// At is where the list has the file: a path below the master, or a URL. It is "" where
	// the list does not say: the file is at Route.Path then.
	At string

	// Withheld says why the file must not be served, "" when it may.
	Withheld string
}
