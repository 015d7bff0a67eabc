package cache

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"pkgedge/cache/store"
)

// summer makes the sums of a body while it is written.
type summer struct {
	done []byte
	crc  uint32 // of the chunk under way
	size int64  // of all
}

func (s *summer) add(p []byte) {
	for len(p) > 0 {
		n := min(int64(len(p)), chunkSize-s.size%chunkSize)
		s.crc = crc32.Update(s.crc, crc32c, p[:n])
		s.size += n
		if p = p[n:]; s.size%chunkSize == 0 {
			s.done = binary.LittleEndian.AppendUint32(s.done, s.crc)
			s.crc = 0
		}
	}
}

// sums are those of what was added, none when it is not large.
func (s *summer) sums() []byte {
	if sumsSize(s.size) == 0 {
		return nil
	}
	if s.size%chunkSize == 0 {
		return s.done
	}
	return binary.LittleEndian.AppendUint32(s.done, s.crc)
}

// readSums reads the sums behind a body, and checks them.
func readSums(file io.ReaderAt, h *head) ([]byte, error) {
	sums := make([]byte, h.end()-h.sumsAt())
	if n, err := file.ReadAt(sums, h.sumsAt()); n < len(sums) {
		return nil, cutShort(err)
	}
	if crc32.Checksum(sums, crc32c) != h.preamble.sums {
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

// verify reads a body and compares each part with its checksum.
func verify(body io.ReaderAt, m *store.Meta) error {
	buf := make([]byte, max(1, min(m.Size(), 64<<10)))
	for _, p := range m.Parts {
		sum := crc32.New(crc32c)
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

// isDamage tells bytes that are wrong from bytes that could not be read.
func isDamage(err error) bool {
	return errors.Is(err, errDamaged) || errors.Is(err, errNotRecord) || errors.Is(err, errFormat)
}
