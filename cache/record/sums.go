package record

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"pkgedge/cache/store"
)

// Summer makes the sums of a body while it is written.
type Summer struct {
	done []byte
	crc  uint32 // of the chunk under way
	size int64  // of all
}

func (s *Summer) Add(p []byte) {
	for len(p) > 0 {
		n := min(int64(len(p)), ChunkSize-s.size%ChunkSize)
		s.crc = crc32.Update(s.crc, crc32c, p[:n])
		s.size += n
		if p = p[n:]; s.size%ChunkSize == 0 {
			s.done = binary.LittleEndian.AppendUint32(s.done, s.crc)
			s.crc = 0
		}
	}
}

// Sums returns the sums of the added bytes, none for a body that is not large.
func (s *Summer) Sums() []byte {
	if SumsSize(s.size) == 0 {
		return nil
	}
	if s.size%ChunkSize == 0 {
		return s.done
	}
	return binary.LittleEndian.AppendUint32(s.done, s.crc)
}

// ReadSums reads the sums behind a body, and checks them.
func ReadSums(file io.ReaderAt, h *Head) ([]byte, error) {
	sums := make([]byte, h.End()-h.SumsAt())
	if n, err := file.ReadAt(sums, h.SumsAt()); n < len(sums) {
		return nil, CutShort(err)
	}
	if crc32.Checksum(sums, crc32c) != h.preamble.sums {
		return nil, ErrDamaged
	}
	return sums, nil
}

// cutShort: a file that ends before it should is damaged.
func CutShort(err error) error {
	if err == io.EOF {
		return ErrDamaged
	}
	return err
}

// Verify reads a body and compares each part with its checksum.
func Verify(body io.ReaderAt, m *store.Meta) error {
	buf := make([]byte, max(1, min(m.Size(), 64<<10)))
	for _, p := range m.Parts {
		sum := crc32.New(crc32c)
		n, err := io.CopyBuffer(sum, io.NewSectionReader(body, p.Offset, p.Size), buf)
		if err != nil {
			return err
		}
		if n != p.Size || sum.Sum32() != p.CRC {
			return ErrDamaged
		}
	}
	return nil
}

// IsDamage tells bytes that are wrong from bytes that could not be read.
func IsDamage(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotRecord) || errors.Is(err, errFormat)
}
