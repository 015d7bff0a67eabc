package fetch

import (
	"bufio"
	"io"
	"math/bits"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"pkgedge/origin/kind"
)

// coding is a content coding that variants are stored in.
type coding struct {
	name string // as in Content-Encoding; "" is identity
	// wrap makes an encoder for a document of that many bytes.
	wrap func(io.Writer, int64) (io.WriteCloser, error)
}

var (
	identity = coding{wrap: func(w io.Writer, _ int64) (io.WriteCloser, error) { return nopCloser{w}, nil }}
	gzipped  = coding{"gzip", func(w io.Writer, _ int64) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzipLevel) }}
	zstded   = coding{"zstd", func(w io.Writer, size int64) (io.WriteCloser, error) {
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowFor(size)),
			zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstd.SpeedDefault))
	}}
)

const (
	gzipLevel = 5
	// worthCoding is the size in bytes from which compressing pays: below it
	// the fields of the response are most of it.
	worthCoding = 512
	writeBuffer = 256 << 10
)

// codingsFor lists the codings a document is stored in. A document that is
// never served needs no choice.
func codingsFor(d kind.Document) []coding {
	if d.Variant == kind.Summary || d.Size < worthCoding {
		return []coding{identity}
	}
	return []coding{identity, gzipped, zstded}
}

// windowFor is a window no larger than the document, for the encoder's memory
// goes by it, nor than any client must accept (RFC 8878 section 3.1.1.1.2 asks
// for 8 MB).
func windowFor(size int64) int {
	return 1 << min(max(bits.Len64(uint64(size)), 10), 22)
}

func (c coding) write(to io.Writer, d kind.Document) error {
	// The documents come in many short segments: the buffer makes few long
	// writes of them.
	out := bufio.NewWriterSize(to, writeBuffer)
	enc, err := c.wrap(out, d.Size)
	if err != nil {
		return err
	}
	in := bufio.NewWriterSize(enc, 32<<10)
	if _, err := d.Body.WriteTo(in); err != nil {
		return err
	}
	if err := in.Flush(); err != nil {
		return err
	}
	if err := enc.Close(); err != nil {
		return err
	}
	return out.Flush()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
