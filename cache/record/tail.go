package record

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// A Meta that has outgrown its slot when freshened is written behind everything
// else, where nothing is that counts, and then its slot says where:
//
//	1 byte    metaAway
//	8 bytes   offset in the file
//	4 bytes   length
//	4 bytes   CRC32C of the bytes there
//
// Cut short before the slot is written, it leaves the file longer and otherwise
// as it was. A slot whose bytes never arrived does not count.
const (
	metaAway = 3
	awaySize = 17
	MaxTail  = 3 << MaxSlotLog // the newest Meta, where it may be, and another one before or behind it
)

// extent is a run of bytes of a file.
type extent struct{ Off, size int64 }

func (e extent) End() int64 { return e.Off + e.size }

// EncodeTailSlot returns the bytes of a slot that points to a Meta in the tail.
func EncodeTailSlot(off int64, raw []byte) []byte {
	b := make([]byte, 1, awaySize)
	b[0] = metaAway
	b = binary.LittleEndian.AppendUint64(b, uint64(off))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(raw)))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(raw, crc32c))
}

// follow returns the bytes of the Meta that a slot holds, or says where to find.
func follow(r io.ReaderAt, slot []byte) (raw []byte, tail extent, err error) {
	if slot[0] != metaAway {
		return slot, extent{}, nil
	}
	if len(slot) != awaySize {
		return nil, extent{}, ErrDamaged
	}
	tail = extent{int64(binary.LittleEndian.Uint64(slot[1:])), int64(binary.LittleEndian.Uint32(slot[9:]))}
	if tail.Off < 0 || tail.size > 1<<MaxSlotLog {
		return nil, extent{}, ErrDamaged
	}
	raw = make([]byte, tail.size)
	if n, err := r.ReadAt(raw, tail.Off); n < len(raw) {
		return nil, extent{}, CutShort(err)
	}
	if crc32.Checksum(raw, crc32c) != binary.LittleEndian.Uint32(slot[13:]) {
		return nil, extent{}, ErrDamaged
	}
	return raw, tail, nil
}

// TailExtent is where size bytes may be written: behind the end, before or behind
// the newest Meta, if that is there.
func (h *Head) TailExtent(size int64) extent {
	at := extent{h.End(), size}
	if h.tail.size > 0 && at.End() > h.tail.Off {
		at.Off = h.tail.End()
	}
	return at
}
