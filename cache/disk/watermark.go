package disk

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"sync/atomic"

	"pkgedge/cache/fsys"
)

// crc32c is the polynomial of every checksum.
var crc32c = crc32.MakeTable(crc32.Castagnoli)

// watermark is a number in a file that the tier's bytes do not exceed. It is raised
// in steps, each on disk before what it allows is written, so that an edge that
// was killed leaves an upper bound of what it had: the next one counts with that
// until it has seen every file.
//
// The file has one line, "crc32c bytes", which is written in place. One that
// cannot be read, or is not there, says nothing: then the limit is what there may
// be.
type watermark struct {
	path  string
	limit int64
	sys   fsys.Calls

	noted atomic.Int64
	mu    sync.Mutex // over the file's I/O, which is rare
}

// step is how much it is raised by: a 64th of the limit.
func (c *watermark) step() int64 { return max(c.limit/64, 1<<20) }

// read returns what an earlier edge noted.
func (c *watermark) read() int64 {
	f, err := c.sys.Open(c.path, os.O_RDONLY)
	if err != nil {
		return c.limit
	}
	defer f.Close()
	line := make([]byte, 64)
	n, _ := c.sys.Read(f, line, 0)
	line = line[:n]
	var bytes int64
	if _, err := fmt.Sscanf(string(line[min(n, 9):]), "%d\n", &bytes); err != nil || bytes < 0 || !sameLine(line, bytes) {
		return c.limit
	}
	c.noted.Store(bytes)
	return bytes
}

func sameLine(line []byte, n int64) bool { return bytes.Equal(line, watermarkLine(n)) }

func watermarkLine(n int64) []byte {
	number := fmt.Sprintf("%020d\n", n)
	return fmt.Appendf(nil, "%08x %s", crc32.Checksum([]byte(number), crc32c), number)
}

// allow raises the ceiling where total is above it. When it returns nil, that is
// on disk.
func (c *watermark) allow(total int64) error {
	if total <= c.noted.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if total <= c.noted.Load() {
		return nil
	}
	return c.note(max(total, min(total+c.step(), c.limit)))
}

// lower brings the ceiling down to what total says, and so much more. Whoever is
// allowed something meanwhile counts in the total.
func (c *watermark) lower(total func() int64, more int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to := total() + more
	if to >= c.noted.Load() || c.note(to) != nil {
		return // the higher one holds as well
	}
	if now := total(); now > to {
		c.note(now + more)
	}
}

// note writes the ceiling. c.mu is held.
func (c *watermark) note(n int64) error {
	f, err := c.sys.Open(c.path, os.O_CREATE|os.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := c.sys.Write(f, watermarkLine(n), 0); err != nil {
		return err
	}
	if err := c.sys.Sync(f); err != nil {
		return err
	}
	c.noted.Store(n)
	return nil
}
