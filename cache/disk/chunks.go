package disk

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"io/fs"

	"pkgedge/cache/fsys"
	"pkgedge/cache/record"
	"pkgedge/cache/store"
)

// chunks is a large body on disk that is not verified yet. Many may read it at once.
type chunks struct {
	disk *Store
	sum  store.Sum
	info fs.FileInfo
	body fsys.At
	size int64
	sums []byte
}

// read reads chunk i into buf and checks it.
func (c *chunks) read(i int64, buf *[record.ChunkSize]byte) ([]byte, error) {
	p := buf[:min(record.ChunkSize, c.size-i*record.ChunkSize)]
	n, err := c.body.ReadAt(p, i*record.ChunkSize)
	switch {
	case n < len(p):
		err = record.CutShort(err)
	case crc32.Checksum(p, crc32c) == binary.LittleEndian.Uint32(c.sums[i*record.SumSize:]):
		return p, nil
	default:
		err = record.ErrDamaged
	}
	c.disk.failedCheck(c.sum, c.info, err)
	return nil, err
}

func (c *chunks) ReadAt(p []byte, off int64) (n int, err error) {
	buf := c.disk.chunkBufs.Get().(*[record.ChunkSize]byte)
	defer c.disk.chunkBufs.Put(buf)
	for n < len(p) {
		if off >= c.size {
			return n, io.EOF
		}
		chunk, err := c.read(off/record.ChunkSize, buf)
		if err != nil {
			return n, err
		}
		m := copy(p[n:], chunk[off%record.ChunkSize:])
		n += m
		off += int64(m)
	}
	return n, nil
}

// reader reads a part of the body from off on, up to end.
func (c *chunks) reader(off, end int64) io.Reader {
	return &chunkReader{chunks: c, off: off, end: end, whole: off == 0}
}

// chunkReader is one reader's place in chunks. Reading the whole body verifies the file.
type chunkReader struct {
	*chunks
	off, end int64
	whole    bool // from the beginning
	buf      *[record.ChunkSize]byte
	rest     []byte // of the chunk before off, checked
	err      error
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		r.next()
	}
	if r.err != nil {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next reads the chunk at off.
func (r *chunkReader) next() {
	if r.err == nil && r.off >= r.end {
		r.err = io.EOF
	}
	if r.err == nil {
		if r.buf == nil {
			r.buf = r.disk.chunkBufs.Get().(*[record.ChunkSize]byte)
		}
		r.rest, r.err = r.read(r.off/record.ChunkSize, r.buf)
	}
	if r.err != nil {
		if r.buf != nil {
			r.disk.chunkBufs.Put(r.buf)
			r.buf, r.rest = nil, nil
		}
		return
	}
	r.rest = r.rest[r.off%record.ChunkSize:]
	r.rest = r.rest[:min(int64(len(r.rest)), r.end-r.off)]
	if r.off += int64(len(r.rest)); r.off == r.size && r.whole {
		r.disk.Index.SetVerified(r.sum, fsys.ChangeTime(r.info))
	}
}
