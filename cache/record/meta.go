package record

import (
	"encoding/binary"
	"net/http"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// A slot holds a Meta as bytes, written and read in one pass:
//
//	1 byte      metaFormat
//	1 byte      flags
//	8 + 8 bytes Version, PurgeEpoch
//	varints     Status, RequestTime, ResponseTime, Span when there is one
//	string      From when it is known
//	strings     Site, Key
//	fields      how many names, how many values, then name, its values
//	Vary        how many strings, then those
//	parts       how many, then each
//
// A string is its length as a varint and its bytes. Any bytes of a field survive the
// round trip.
const metaFormat = 2

// Flags of the fields that a Meta has. The flag 1 is not used.
const (
	flagSpan = 2
	flagFrom = 4
)

// EncodeMeta returns the bytes of a Meta in a slot.
func EncodeMeta(m *store.Meta) []byte {
	b := make([]byte, 0, 512)
	flags := byte(0)
	if m.Span != nil {
		flags |= flagSpan
	}
	if m.From != "" {
		flags |= flagFrom
	}
	b = append(b, metaFormat, flags)
	b = binary.LittleEndian.AppendUint64(b, m.Version)
	b = binary.LittleEndian.AppendUint64(b, m.PurgeEpoch)
	b = binary.AppendUvarint(b, uint64(m.Status))
	for _, t := range []time.Time{m.RequestTime, m.ResponseTime} {
		b = binary.AppendVarint(b, t.Unix())
		b = binary.AppendUvarint(b, uint64(t.Nanosecond()))
	}
	if m.Span != nil {
		b = binary.AppendVarint(b, m.Span.First)
		b = binary.AppendVarint(b, m.Span.Total)
	}
	if m.From != "" {
		b = appendStrings(b, m.From)
	}
	b = appendStrings(b, m.Site, m.Key)
	values := 0
	for _, lines := range m.Header {
		values += len(lines)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Header)))
	b = binary.AppendUvarint(b, uint64(values))
	for name, lines := range m.Header {
		b = appendStrings(b, name)
		b = binary.AppendUvarint(b, uint64(len(lines)))
		b = appendStrings(b, lines...)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Vary)))
	b = appendStrings(b, m.Vary...)
	b = binary.AppendUvarint(b, uint64(len(m.Parts)))
	for _, p := range m.Parts {
		b = appendStrings(b, p.Variant, p.Encoding, p.ContentType, p.ETag)
		b = binary.AppendVarint(b, p.Offset)
		b = binary.AppendVarint(b, p.Size)
		b = binary.LittleEndian.AppendUint32(b, p.CRC)
	}
	return b
}

func appendStrings(b []byte, all ...string) []byte {
	for _, s := range all {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// decodeMeta decodes the bytes of EncodeMeta. It keeps nothing of raw.
func decodeMeta(raw []byte) (*store.Meta, error) {
	m := new(store.Meta)
	r := metaReader{rest: string(raw)} // one copy, which every string is a part of
	if r.byte() != metaFormat {
		return nil, errFormat
	}
	flags := r.byte()
	m.Version, m.PurgeEpoch = r.fixed64(), r.fixed64()
	m.Status = int(r.uvarint())
	m.RequestTime, m.ResponseTime = r.time(), r.time()
	if flags&flagSpan != 0 {
		m.Span = &policy.Span{First: r.varint(), Total: r.varint()}
	}
	if flags&flagFrom != 0 {
		m.From = r.string()
	}
	m.Site, m.Key = r.string(), r.string()
	names := r.count(1)
	values := make([]string, 0, r.count(1))
	m.Header = make(http.Header, names)
	for range names {
		name := r.string()
		from := len(values)
		for range r.count(1) {
			values = append(values, r.string())
		}
		m.Header[name] = values[from:len(values):len(values)]
	}
	if n := r.count(1); n > 0 {
		m.Vary = make([]string, n)
		for i := range m.Vary {
			m.Vary[i] = r.string()
		}
	}
	m.Parts = make([]store.Part, r.count(10))
	for i := range m.Parts {
		m.Parts[i] = store.Part{
			Variant: r.string(), Encoding: r.string(), ContentType: r.string(), ETag: r.string(),
			Offset: r.varint(), Size: r.varint(), CRC: r.fixed32(),
		}
	}
	if r.bad || r.rest != "" {
		return nil, ErrDamaged
	}
	if m.Span != nil {
		m.Span.Size = m.Size()
	}
	return m, nil
}

// metaReader decodes a slot. After the first missing byte it is bad and returns zeros.
type metaReader struct {
	rest string
	bad  bool
}

// next returns the next n bytes.
func (r *metaReader) next(n uint64) string {
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, ""
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *metaReader) byte() byte {
	if s := r.next(1); s != "" {
		return s[0]
	}
	return 0
}

func (r *metaReader) string() string { return r.next(r.uvarint()) }

func (r *metaReader) uvarint() uint64 {
	var v uint64
	for shift := uint(0); shift < 64; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.bad = true
	return 0
}

func (r *metaReader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *metaReader) fixed32() (v uint32) {
	for i, c := range []byte(r.next(4)) {
		v |= uint32(c) << (8 * i)
	}
	return v
}

func (r *metaReader) fixed64() uint64 { return uint64(r.fixed32()) | uint64(r.fixed32())<<32 }

// time decodes a time, in UTC.
func (r *metaReader) time() time.Time {
	seconds, nano := r.varint(), r.uvarint()
	if nano >= 1e9 {
		r.bad = true
		return time.Time{}
	}
	return time.Unix(seconds, int64(nano)).UTC()
}

// count decodes a number of items of at least size bytes each. A number that the rest of
// the slot cannot have is bad, so that nothing is allocated for it.
func (r *metaReader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.rest)/size) {
		r.bad, r.rest = true, ""
		return 0
	}
	return int(n)
}
