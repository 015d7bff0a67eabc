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

// watermark is the usage watermark: a number in a file that the tier's bytes never exceed.
// It is raised in steps, each synced before the bytes it allows are written. So a killed
// edge leaves an upper bound of its bytes, which the next one uses until its scan ends.
//
// The file has one line, "crc32c bytes", which is written in place. Without a readable file
// the limit is the upper bound.
type watermark struct {
	path  string
	limit int64
	sys   fsys.Calls

	noted atomic.Int64
	mu    sync.Mutex // held over the file's I/O, which is rare
}

// step is the number of bytes it is raised by: a 64th of the limit.
func (c *watermark) step() int64 { return max(c.limit/64, 1<<20) }

// read returns the watermark of the previous process.
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

// allow raises the watermark to total or more, and returns after the sync.
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

// lower brings the watermark down to total and more. Bytes that are allowed meanwhile count
// in total.
func (c *watermark) lower(total func() int64, more int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to := total() + more
	if to >= c.noted.Load() || c.note(to) != nil {
		return // the higher one is valid as well
	}
	if now := total(); now > to {
		c.note(now + more)
	}
}

// note writes the watermark. c.mu is held.
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
