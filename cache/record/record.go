package record

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
//	slot 0     the Meta: length, sequence, CRC32C, and its bytes, see meta.go
//	slot 1     the same
//	body       the parts, from a multiple of 512 on
//	sums       of a large body: the CRC32C of each of its chunks
//	tail       the Meta, when it has outgrown its slot, see tail.go
//
// Commit writes slot 0 before the file gets its name. Freshening writes the slot without
// the newest Meta, so that a write cut short leaves the other one: the valid slot with the
// highest sequence counts. The body never changes. Its offset is known from the preamble,
// for sendfile.
const (
	recordMagic  = "pkge"
	Format       = 3
	preambleSize = 16
	slotHead     = 16
	minSlotLog   = 9  // 512 bytes
	MaxSlotLog   = 20 // 1 MiB: more fields than any response may have
)

// A large body has a checksum for each chunk, so that neither its first byte nor a range
// waits for a check of the rest. Until a file is verified, each chunk is checked before its
// bytes are served, and a corrupt chunk ends the body with an error. A smaller body is
// checked whole before its first byte is served, so that a corrupt one is fetched again.
const (
	ChunkSize   = 64 << 10
	MaxUnsummed = 1 << 20 // bytes of the largest body without sums
	SumSize     = 4
)

var (
	ErrNotRecord = errors.New("not a cache file")
	ErrDamaged   = errors.New("damaged cache file")
	errFormat    = errors.New("cache file of another format")
	ErrTooLarge  = errors.New("response's fields are too large to store")
)

// crc32c is the polynomial of every checksum in a file.
var crc32c = crc32.MakeTable(crc32.Castagnoli)

// BodyOffset is where the body begins.
func BodyOffset(slotLog uint) int64 {
	return (preambleSize + 2<<slotLog + 511) &^ 511
}

// SlotLogFor returns the slot size for a Meta of n bytes, with room for it to
// grow when freshened.
func SlotLogFor(n int) (uint, error) {
	for log := uint(minSlotLog); log <= MaxSlotLog; log++ {
		if slotHead+n+n/4 <= 1<<log {
			return log, nil
		}
	}
	return 0, ErrTooLarge
}

// preamble is the first 16 bytes of a file.
type preamble struct {
	SlotLog uint
	sums    uint32 // the CRC32C of the sums, if any
}

func (p preamble) encode() []byte {
	b := make([]byte, preambleSize)
	copy(b, recordMagic)
	b[4], b[5] = Format, byte(p.SlotLog)
	binary.LittleEndian.PutUint32(b[8:], p.sums)
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:12], crc32c))
	return b
}

func decodePreamble(b []byte) (preamble, error) {
	if len(b) < preambleSize || string(b[:4]) != recordMagic {
		return preamble{}, ErrNotRecord
	}
	if crc32.Checksum(b[:12], crc32c) != binary.LittleEndian.Uint32(b[12:]) {
		return preamble{}, ErrDamaged
	}
	if b[4] != Format {
		return preamble{}, errFormat
	}
	p := preamble{uint(b[5]), binary.LittleEndian.Uint32(b[8:])}
	if p.SlotLog < minSlotLog || p.SlotLog > MaxSlotLog {
		return preamble{}, ErrDamaged
	}
	return p, nil
}

// Fits reports whether the bytes of a Meta fit into a slot of that size.
func Fits(meta []byte, slotLog uint) bool { return slotHead+len(meta) <= 1<<slotLog }

// Front returns the bytes of a new file before its body, for the bytes of a Meta that
// fit and the body's sums.
func Front(slotLog uint, meta, sums []byte) []byte {
	front := make([]byte, BodyOffset(slotLog))
	copy(front, preamble{slotLog, crc32.Checksum(sums, crc32c)}.encode())
	copy(front[preambleSize:], encodeSlot(1, meta))
	return front
}

// OtherSlot encodes the next Meta for the slot without the present one, and returns its
// offset in the file.
func (h *Head) OtherSlot(meta []byte) (slot []byte, at int64) {
	return encodeSlot(h.seq+1, meta), preambleSize + int64(1-h.slot)<<h.SlotLog
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

// Head is the decoded preamble and Meta of a file.
type Head struct {
	preamble
	Meta *store.Meta
	slot int // the slot that has Meta, or points to it
	seq  uint64
	tail extent // of Meta, when no slot has it
}

// FrontSize is the number of bytes of the first read. Most heads are shorter.
const FrontSize = 4096

// ReadHead reads and checks the head of a file of the given size. front is scratch space
// of FrontSize bytes.
func ReadHead(r io.ReaderAt, size int64, front []byte) (Head, error) {
	n, err := r.ReadAt(front[:min(size, FrontSize)], 0)
	if err != nil && err != io.EOF {
		return Head{}, err
	}
	front = front[:n]
	h := Head{}
	if h.preamble, err = decodePreamble(front); err != nil {
		return Head{}, err
	}
	if end := preambleSize + 2<<h.SlotLog; int64(end) > size {
		return Head{}, fmt.Errorf("%w: cut short", ErrDamaged)
	} else if end > n {
		front = make([]byte, end)
		if _, err := r.ReadAt(front, 0); err != nil {
			return Head{}, err
		}
	}
	raw, err := h.newest(r, front)
	if err != nil {
		return Head{}, err
	}
	if h.Meta, err = decodeMeta(raw); err != nil {
		return Head{}, err
	}
	if !coherent(h.Meta) {
		return Head{}, ErrDamaged
	}
	// A freshening cut short may have left bytes behind the end.
	if end := h.End(); size < end || size > end+MaxTail {
		return Head{}, fmt.Errorf("%w: %d bytes, want %d", ErrDamaged, size, end)
	}
	h.Meta.Measure()
	return h, nil
}

// SumsSize is the size of the sums of a body of that many bytes.
func SumsSize(body int64) int64 {
	if body <= MaxUnsummed {
		return 0
	}
	return (body + ChunkSize - 1) / ChunkSize * SumSize
}

// newest returns the bytes of the newest valid Meta.
func (h *Head) newest(r io.ReaderAt, front []byte) (raw []byte, err error) {
	var found [2]struct {
		seq uint64
		raw []byte
	}
	for i := range found {
		at := preambleSize + i<<h.SlotLog
		if seq, raw, ok := decodeSlot(front[at : at+1<<h.SlotLog]); ok {
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
		if errors.Is(err, ErrDamaged) {
			continue // the tail was never written
		}
		h.slot, h.seq, h.tail = i, found[i].seq, tail
		return raw, err
	}
	return nil, ErrDamaged
}

// SumsAt is the offset of the sums.
func (h *Head) SumsAt() int64 { return BodyOffset(h.SlotLog) + h.Meta.Size() }

// End is the end of the sums. A tail begins here.
func (h *Head) End() int64 { return h.SumsAt() + SumsSize(h.Meta.Size()) }

// coherent reports whether the parts follow each other, and the Meta is one that Commit
// could have written.
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
