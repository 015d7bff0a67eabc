package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// A file of the disk tier:
//
//	preamble   16 bytes: magic, format, log2 of the slot size, CRC32C
//	slot 0     the Meta: length, sequence, CRC32C, and its bytes, see recordmeta.go
//	slot 1     the same
//	body       the parts, from a multiple of 512 on
//
// Commit fills slot 0 before the file gets its name. Freshening writes the slot
// that does not hold the newest Meta, so that a write cut short leaves the other
// one: the valid slot with the highest sequence counts. The body is never
// touched, and begins at an offset known from the preamble, for sendfile.
const (
	recordMagic  = "pkge"
	recordFormat = 2 // 1 has JSON in its slots and is read all the same
	preambleSize = 16
	slotHead     = 16
	minSlotLog   = 9  // 512 bytes
	maxSlotLog   = 20 // 1 MiB: more fields than any response may have
)

var (
	errNotRecord = errors.New("not a cache file")
	errDamaged   = errors.New("damaged cache file")
	errFormat    = errors.New("cache file of another format")
	errTooLarge  = errors.New("response's fields are too large to store")
)

// bodyOffset is where the body begins.
func bodyOffset(slotLog uint) int64 {
	return (preambleSize + 2<<slotLog + 511) &^ 511
}

// slotLogFor returns the slot size for a Meta of n bytes, with room for it to
// grow when freshened.
func slotLogFor(n int) (uint, error) {
	for log := uint(minSlotLog); log <= maxSlotLog; log++ {
		if slotHead+n+n/4 <= 1<<log {
			return log, nil
		}
	}
	return 0, errTooLarge
}

func encodePreamble(slotLog uint) []byte {
	b := make([]byte, preambleSize)
	copy(b, recordMagic)
	b[4], b[5] = recordFormat, byte(slotLog)
	return sealPreamble(b)
}

func sealPreamble(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:12], castagnoli))
	return b
}

func decodePreamble(b []byte) (slotLog uint, err error) {
	if len(b) < preambleSize || string(b[:4]) != recordMagic {
		return 0, errNotRecord
	}
	if crc32.Checksum(b[:12], castagnoli) != binary.LittleEndian.Uint32(b[12:]) {
		return 0, errDamaged
	}
	if b[4] < 1 || b[4] > recordFormat {
		return 0, errFormat
	}
	if slotLog = uint(b[5]); slotLog < minSlotLog || slotLog > maxSlotLog {
		return 0, errDamaged
	}
	return slotLog, nil
}

// encodeSlot returns the bytes of a slot.
func encodeSlot(seq uint64, meta []byte) []byte {
	b := make([]byte, slotHead, slotHead+len(meta))
	binary.LittleEndian.PutUint32(b, uint32(len(meta)))
	binary.LittleEndian.PutUint64(b[4:], seq)
	b = append(b, meta...)
	binary.LittleEndian.PutUint32(b[12:], slotSum(b))
	return b
}

func slotSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:12], castagnoli), castagnoli, b[slotHead:])
}

func decodeSlot(b []byte) (seq uint64, meta []byte, ok bool) {
	if len(b) < slotHead {
		return 0, nil, false
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n == 0 || n > int64(len(b)-slotHead) {
		return 0, nil, false
	}
	b = b[:slotHead+n]
	if slotSum(b) != binary.LittleEndian.Uint32(b[12:]) {
		return 0, nil, false
	}
	return binary.LittleEndian.Uint64(b[4:]), b[slotHead:], true
}

// head is what the front of a file says.
type head struct {
	meta    *Meta
	slotLog uint
	slot    int // which slot holds meta
	seq     uint64
}

// frontSize is how much of a file is read at first: most heads are shorter.
const frontSize = 4096

// readHead reads and checks the front of a file of the given size. front is
// scratch space of frontSize bytes, of which nothing is kept.
func readHead(r io.ReaderAt, size int64, front []byte) (head, error) {
	n, err := r.ReadAt(front[:min(size, frontSize)], 0)
	if err != nil && err != io.EOF {
		return head{}, err
	}
	front = front[:n]
	h := head{slot: -1}
	if h.slotLog, err = decodePreamble(front); err != nil {
		return head{}, err
	}
	if end := preambleSize + 2<<h.slotLog; int64(end) > size {
		return head{}, fmt.Errorf("%w: cut short", errDamaged)
	} else if end > n {
		front = make([]byte, end)
		if _, err := r.ReadAt(front, 0); err != nil {
			return head{}, err
		}
	}
	var raw []byte
	for i := range 2 {
		at := preambleSize + i<<h.slotLog
		if seq, meta, ok := decodeSlot(front[at : at+1<<h.slotLog]); ok && (h.slot < 0 || seq > h.seq) {
			h.slot, h.seq, raw = i, seq, meta
		}
	}
	if h.slot < 0 {
		return head{}, errDamaged
	}
	if h.meta, err = decodeMeta(raw); err != nil {
		return head{}, err
	}
	if !coherent(h.meta) {
		return head{}, errDamaged
	}
	if bodyOffset(h.slotLog)+h.meta.Size() != size {
		return head{}, fmt.Errorf("%w: %d bytes, want %d", errDamaged, size, bodyOffset(h.slotLog)+h.meta.Size())
	}
	h.meta.fresh = measure(h.meta)
	return h, nil
}

// coherent: the parts follow each other, and nothing else is as no commit could
// have written it.
func coherent(m *Meta) bool {
	var end int64
	for _, p := range m.Parts {
		if p.Offset != end || p.Size < 0 || p.Size > math.MaxInt64>>1-end {
			return false
		}
		end += p.Size
	}
	return len(m.Vary)%2 == 0 && m.Header != nil
}
