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

	// Base is the URL below which its master has the files that the document lists, ""
	// where it does not say. Misplaced says that some are elsewhere: see [Digest.At].
	Base      string
	Misplaced bool
}

// Digest is the entry of a file in a list: the sum that its bytes must have.
type Digest struct {
	Algorithm string // "sha512", "sha384", "sha256" or "sha1"; "" where the list has none
	Sum       []byte

	// At is the URL under which the list's master has the file, "" where the list does not
	// say: it is at Route.Path below the master then.
	At string

	// Withheld says why the file must not be served, "" when it may.
	Withheld string
}
