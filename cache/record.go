package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"pkgedge/cache/store"
)

// A file of the disk tier:
//
//	preamble   16 bytes: magic, format, log2 of the slot size, the sums' CRC32C, its own
//	slot 0     the Meta: length, sequence, CRC32C, and its bytes, see recordmeta.go
//	slot 1     the same
//	body       the parts, from a multiple of 512 on
//	sums       of a large body: the CRC32C of each of its chunks, see chunks.go
//	tail       the Meta, when it has outgrown its slot, see recordtail.go
//
// Commit fills slot 0 before the file gets its name. Freshening writes the slot
// that does not hold the newest Meta, so that a write cut short leaves the other
// one: the valid slot with the highest sequence counts. The body is never
// touched, and begins at an offset known from the preamble, for sendfile.
const (
	recordMagic  = "pkge"
	recordFormat = 3
	preambleSize = 16
	slotHead     = 16
	minSlotLog   = 9  // 512 bytes
	maxSlotLog   = 20 // 1 MiB: more fields than any response may have
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

var (
	errNotRecord = errors.New("not a cache file")
	errDamaged   = errors.New("damaged cache file")
	errFormat    = errors.New("cache file of another format")
	errTooLarge  = errors.New("response's fields are too large to store")
)

// crc32c is the polynomial of every checksum in a file.
var crc32c = crc32.MakeTable(crc32.Castagnoli)

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

// preamble is what a file begins with.
type preamble struct {
	format  byte
	slotLog uint
	sums    uint32 // the CRC32C of the sums, where there are some
}

func (p preamble) encode() []byte {
	b := make([]byte, preambleSize)
	copy(b, recordMagic)
	b[4], b[5] = p.format, byte(p.slotLog)
	binary.LittleEndian.PutUint32(b[8:], p.sums)
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:12], crc32c))
	return b
}

func decodePreamble(b []byte) (preamble, error) {
	if len(b) < preambleSize || string(b[:4]) != recordMagic {
		return preamble{}, errNotRecord
	}
	if crc32.Checksum(b[:12], crc32c) != binary.LittleEndian.Uint32(b[12:]) {
		return preamble{}, errDamaged
	}
	p := preamble{b[4], uint(b[5]), binary.LittleEndian.Uint32(b[8:])}
	if p.format != recordFormat {
		return preamble{}, errFormat
	}
	if p.slotLog < minSlotLog || p.slotLog > maxSlotLog {
		return preamble{}, errDamaged
	}
	return p, nil
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
	return crc32.Update(crc32.Checksum(b[:12], crc32c), crc32c, b[slotHead:])
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

// head is what a file says of its body.
type head struct {
	preamble
	meta *store.Meta
	slot int // which slot holds meta, or says where it is
	seq  uint64
	tail extent // where meta is, when no slot holds it
}

// frontSize is how much of a file is read at first: most heads are shorter.
const frontSize = 4096

// readHead reads and checks the head of a file of the given size. front is
// scratch space of frontSize bytes, of which nothing is kept.
func readHead(r io.ReaderAt, size int64, front []byte) (head, error) {
	n, err := r.ReadAt(front[:min(size, frontSize)], 0)
	if err != nil && err != io.EOF {
		return head{}, err
	}
	front = front[:n]
	h := head{}
	if h.preamble, err = decodePreamble(front); err != nil {
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
	raw, err := h.newest(r, front)
	if err != nil {
		return head{}, err
	}
	if h.meta, err = decodeMeta(raw); err != nil {
		return head{}, err
	}
	if !coherent(h.meta) {
		return head{}, errDamaged
	}
	// A freshening cut short may have left more than is said.
	if end := h.end(); size < end || size > end+maxTail {
		return head{}, fmt.Errorf("%w: %d bytes, want %d", errDamaged, size, end)
	}
	h.meta.Measure()
	return h, nil
}

// sumsSize is how many bytes of sums follow a body of that many bytes.
func sumsSize(body int64) int64 {
	if body <= wholeCheck {
		return 0
	}
	return (body + chunkSize - 1) / chunkSize * sumSize
}

// newest finds the bytes of the newest Meta, by the slots in front.
func (h *head) newest(r io.ReaderAt, front []byte) (raw []byte, err error) {
	var found [2]struct {
		seq uint64
		raw []byte
	}
	for i := range found {
		at := preambleSize + i<<h.slotLog
		if seq, raw, ok := decodeSlot(front[at : at+1<<h.slotLog]); ok {
			found[i].seq, found[i].raw = seq, raw
		}
	}
	first := 0
	if found[0].raw == nil || found[1].raw != nil && found[1].seq > found[0].seq {
		first = 1
	}
	for _, i := range [2]int{first, 1 - first} {
		if found[i].raw == nil {
			continue
		}
		raw, tail, err := follow(r, found[i].raw)
		if errors.Is(err, errDamaged) {
			continue // it never arrived there
		}
		h.slot, h.seq, h.tail = i, found[i].seq, tail
		return raw, err
	}
	return nil, errDamaged
}

// sumsAt is where the sums are, and end where the tail begins.
func (h *head) sumsAt() int64 { return bodyOffset(h.slotLog) + h.meta.Size() }
func (h *head) end() int64    { return h.sumsAt() + sumsSize(h.meta.Size()) }

// coherent: the parts follow each other, and nothing else is as no commit could
// have written it.
func coherent(m *store.Meta) bool {
	var end int64
	for _, p := range m.Parts {
		if p.Offset != end || p.Size < 0 || p.Size > math.MaxInt64>>1-end {
			return false
		}
		end += p.Size
	}
	return len(m.Vary)%2 == 0 && m.Header != nil
}
