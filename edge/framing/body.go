package framing

import (
	"io"
	"os"
)

// Body is the body of an answer: bytes in memory, or a part of an open file. The zero Body
// is an empty one.
type Body struct {
	Bytes []byte

	File           *os.File // nil for Bytes
	Offset, Length int64    // of the part, 0 for Bytes
	// Cached says that the part was read a moment ago, so that the system has it in memory.
	// Otherwise the scheduler is told of a wait for the disk.
	Cached bool
	Open   io.Closer // keeps File open until it is closed; may be nil
}

// Size is the body's size in bytes.
func (b *Body) Size() int64 { return int64(len(b.Bytes)) + b.Length }

// read fills p with bytes of the body from off on.
func (b *Body) read(p []byte, off int64) error {
	if b.File == nil {
		copy(p, b.Bytes[off:])
		return nil
	}
	for len(p) > 0 {
		n, err := b.readFile(p, b.Offset+off)
		if err == io.EOF || n == 0 && err == nil {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// inFile is a reader that knows its place in an open file.
type inFile interface {
	io.Seeker
	InFile() (f *os.File, at int64)
}

// filePart returns the part of a file that r reads, for sendfile.
func filePart(r io.Reader) (part Body, from io.Seeker) {
	limited, ok := r.(*io.LimitedReader)
	if !ok || limited.N <= 0 {
		return part, nil
	}
	in, ok := limited.R.(inFile)
	if !ok {
		return part, nil
	}
	part.File, part.Offset = in.InFile()
	part.Length = limited.N
	return part, in
}
