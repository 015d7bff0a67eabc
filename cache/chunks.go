package cache

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"pkgedge/cache/fsys"
)

// A large body has a checksum for each chunk of it, so that its first byte need
// not wait until the last has been checked, nor a range of it for the rest. Until
// a file's bytes are vouched for, each chunk is read, checked and then handed
// out; a chunk that is wrong ends the body with an error. Smaller bodies are
// checked whole before anything is handed out, which is as fast and lets the
// response be fetched again instead.
const (
	chunkSize  = 64 << 10
	wholeCheck = 1 << 20 // bytes of the largest body without sums
	sumSize    = 4
)

// sumsSize is how many bytes of sums follow a body of that many bytes.
func sumsSize(format byte, body int64) int64 {
	if format < 3 || body <= wholeCheck {
		return 0
	}
	return (body + chunkSize - 1) / chunkSize * sumSize
}

// summer makes the sums of a body while it is written.
type summer struct {
	done []byte
	crc  uint32 // of the chunk under way
	size int64  // of all
}

func (s *summer) add(p []byte) {
	for len(p) > 0 {
		n := min(int64(len(p)), chunkSize-s.size%chunkSize)
		s.crc = crc32.Update(s.crc, castagnoli, p[:n])
		s.size += n
		if p = p[n:]; s.size%chunkSize == 0 {
			s.done = binary.LittleEndian.AppendUint32(s.done, s.crc)
			s.crc = 0
		}
	}
}

// sums are those of what was added, none when it is not large.
func (s *summer) sums() []byte {
	if sumsSize(recordFormat, s.size) == 0 {
		return nil
	}
	if s.size%chunkSize == 0 {
		return s.done
	}
	return binary.LittleEndian.AppendUint32(s.done, s.crc)
}

// chunks is a large body on disk that is not vouched for. Many may read it at
// once.
type chunks struct {
	disk *disk
	sum  Sum
	head head
	info fs.FileInfo
	body *fileBody
	size int64
	sums []byte
}

// readSums reads the sums behind a body, and checks them.
func readSums(file io.ReaderAt, h *head) ([]byte, error) {
	sums := make([]byte, h.end()-h.sumsAt())
	if n, err := file.ReadAt(sums, h.sumsAt()); n < len(sums) {
		return nil, cutShort(err)
	}
	if crc32.Checksum(sums, castagnoli) != h.preamble.sums {
		return nil, errDamaged
	}
	return sums, nil
}

// cutShort: a file that ends before it should is damaged.
func cutShort(err error) error {
	if err == io.EOF {
		return errDamaged
	}
	return err
}

// read reads a chunk into buf and checks it.
func (c *chunks) read(i int64, buf *[chunkSize]byte) ([]byte, error) {
	p := buf[:min(chunkSize, c.size-i*chunkSize)]
	n, err := c.body.ReadAt(p, i*chunkSize)
	switch {
	case n < len(p):
		err = cutShort(err)
	case crc32.Checksum(p, castagnoli) == binary.LittleEndian.Uint32(c.sums[i*sumSize:]):
		return p, nil
	default:
		err = errDamaged
	}
	c.disk.distrust(c.sum, c.info, err)
	return nil, err
}

func (c *chunks) ReadAt(p []byte, off int64) (n int, err error) {
	buf := c.disk.chunkBufs.Get().(*[chunkSize]byte)
	defer c.disk.chunkBufs.Put(buf)
	for n < len(p) {
		if off >= c.size {
			return n, io.EOF
		}
		chunk, err := c.read(off/chunkSize, buf)
		if err != nil {
			return n, err
		}
		m := copy(p[n:], chunk[off%chunkSize:])
		n += m
		off += int64(m)
	}
	return n, nil
}

// reader reads a part of the body from off on, up to end.
func (c *chunks) reader(off, end int64) io.Reader {
	return &chunkReader{chunks: c, off: off, end: end, whole: off == 0}
}

// chunkReader is for one reader. Who reads it all has checked it all.
type chunkReader struct {
	*chunks
	off, end int64
	whole    bool // from the beginning
	buf      *[chunkSize]byte
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
			r.buf = r.disk.chunkBufs.Get().(*[chunkSize]byte)
		}
		r.rest, r.err = r.read(r.off/chunkSize, r.buf)
	}
	if r.err != nil {
		if r.buf != nil {
			r.disk.chunkBufs.Put(r.buf)
			r.buf, r.rest = nil, nil
		}
		return
	}
	r.rest = r.rest[r.off%chunkSize:]
	r.rest = r.rest[:min(int64(len(r.rest)), r.end-r.off)]
	if r.off += int64(len(r.rest)); r.off == r.size && r.whole {
		r.disk.index.Vouch(r.sum, fsys.ChangeTime(r.info))
	}
}

// fileBody reads a body that begins at base.
type fileBody struct {
	read func(*os.File, []byte, int64) (int, error)
	file *os.File
	base int64
}

func (b *fileBody) ReadAt(p []byte, off int64) (int, error) { return b.read(b.file, p, b.base+off) }
