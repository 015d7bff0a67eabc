package cache

import (
	"hash/crc32"
	"io"
	"os"
)

// A body on disk goes out by sendfile, which looks at no byte. So a file's bytes
// are checked when it is opened for the first time since the edge started, and
// again whenever its change time is another one than at the last check: whoever
// writes to it leaves that trace. What rots below the file system without one is
// for the scrubber to find.

// vouched says whether the file's bytes have been checked since it was changed
// last.
func (x *index) vouched(sum Sum, changed int64) bool {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.at[sum]
	return ok && s.entries[i].changed == changed
}

// vouch records that the bytes of the file, as of that change time, are right.
func (x *index) vouch(sum Sum, changed int64) {
	s := x.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[sum]; ok {
		s.entries[i].changed = changed
	}
}

// verify reads a body and compares each part with its checksum.
func verify(body io.ReaderAt, m *Meta) error {
	buf := make([]byte, 256<<10)
	for _, p := range m.Parts {
		sum := crc32.New(castagnoli)
		n, err := io.CopyBuffer(sum, io.NewSectionReader(body, p.Offset, p.Size), buf)
		if err != nil {
			return err
		}
		if n != p.Size || sum.Sum32() != p.CRC {
			return errDamaged
		}
	}
	return nil
}

// changeTime is when f was last written or renamed, in nanoseconds; 0 when that
// cannot be told, which vouches for nothing.
func changeTime(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return changed(info)
}
