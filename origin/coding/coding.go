package coding

import (
	"bufio"
	"io"
	"math/bits"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"pkgedge/origin/kind"
)

// The content codings that variants are stored in, as in Content-Encoding.
const (
	Identity = ""
	Gzipped  = "gzip"
	Zstded   = "zstd"
)

// Encoders are the encoders and buffers that no document has now. Each of them is some hundred
// kilobytes. The zero Encoders has none. It is safe for concurrent use.
type Encoders struct{ gzips, zstds, outs, ins sync.Pool }

// encoder is an encoder that can be used again.
type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
}

// encoder returns an encoder of a coding for a document of size bytes, which begins with
// Reset. It goes to the pool afterwards.
func (c *Encoders) encoder(coding string, size int64) (enc encoder, pool *sync.Pool, err error) {
	switch {
	case coding == Identity:
		return &plain{}, nil, nil
	case coding == Gzipped:
		if enc, ok := c.gzips.Get().(encoder); ok {
			return enc, &c.gzips, nil
		}
		enc, err := gzip.NewWriterLevel(nil, gzipLevel)
		return enc, &c.gzips, err
	case size <= smallWindow: // the window of an encoder is fixed
		if enc, ok := c.zstds.Get().(encoder); ok {
			return enc, &c.zstds, nil
		}
		enc, err := newZstd(smallWindow)
		return enc, &c.zstds, err
	}
	enc, err = newZstd(windowFor(size))
	return enc, nil, err
}

func newZstd(window int) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window),
		zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstd.SpeedDefault))
}

const (
	gzipLevel = 5
	// worthCoding is the size in bytes from which compressing pays: below it
	// the fields of the response are most of it.
	worthCoding = 512
	writeBuffer = 256 << 10
	// smallWindow is the window of the zstd encoders that are used again.
	smallWindow = 128 << 10
)

// For lists the codings a document is stored in. A document that is
// never served needs no choice.
func For(d kind.Document) []string {
	if d.Variant == kind.Summary || d.Size < worthCoding {
		return []string{Identity}
	}
	return []string{Identity, Gzipped, Zstded}
}

// windowFor is a window no larger than the document, for the encoder's memory
// goes by it, nor than any client must accept (RFC 8878 section 3.1.1.1.2 asks
// for 8 MB).
func windowFor(size int64) int {
	return 1 << min(max(bits.Len64(uint64(size)), 10), 22)
}

// Write writes a document in a coding of For. After an error nothing of it is used again.
func (c *Encoders) Write(to io.Writer, d kind.Document, coding string) error {
	enc, pool, err := c.encoder(coding, d.Size)
	if err != nil {
		return err
	}
	// The documents come in many short segments: the buffer makes few long
	// writes of them.
	out, in := buffered(&c.outs, to, writeBuffer), buffered(&c.ins, enc, 32<<10)
	enc.Reset(out)
	if _, err := d.Body.WriteTo(in); err != nil {
		return err
	}
	if err := in.Flush(); err != nil {
		return err
	}
	if err := enc.Close(); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	out.Reset(nil)
	c.outs.Put(out)
	in.Reset(nil)
	c.ins.Put(in)
	if pool != nil {
		enc.Reset(nil)
		pool.Put(enc)
	}
	return nil
}

// buffered is a buffer of a pool in which all have one size.
func buffered(pool *sync.Pool, to io.Writer, size int) *bufio.Writer {
	if b, ok := pool.Get().(*bufio.Writer); ok {
		b.Reset(to)
		return b
	}
	return bufio.NewWriterSize(to, size)
}

// plain is the encoder of Identity.
type plain struct{ io.Writer }

func (p *plain) Reset(to io.Writer) { p.Writer = to }

func (p *plain) Close() error { return nil }
