package store

import (
	"crypto/sha256"
	"hash/crc32"
	"slices"

	"pkgedge/cache/policy"
)

// Key names a stored response. Site and ID identify it; Group and Metadata say
// which purges cover it.
type Key struct {
	Site     string // the site's name
	ID       string // unique within the site
	Group    string // the name in a purge of one package; may be empty
	Metadata bool   // covered by a purge of its group's metadata
}

// Sum is a key's digest: its name in every tier. Two keys with one sum are told
// apart by the full key, which every tier keeps and compares.
type Sum [16]byte

func (k Key) Sum() Sum {
	var buf [256]byte
	b := append(buf[:0], k.Site...)
	b = append(b, 0)
	b = append(b, k.ID...)
	full := sha256.Sum256(b)
	return Sum(full[:16])
}

// Meta is a stored response without its bytes. It is immutable once committed: freshening
// makes a new one.
type Meta struct {
	Site string
	Key  string

	// Version is unique per commit and freshening, and later ones are larger, also
	// across restarts.
	Version uint64

	// PurgeEpoch is the purge sequence at the start of the fill, before its request to a
	// master. A later purge covers this response even if it was committed after it.
	PurgeEpoch uint64

	// From names the master that gave the bytes; "" where it is not known.
	From string

	policy.Response // the fields by which policy decides

	// Parts are the representations; with a Span there is one.
	Parts []Part
}

// Entry is a stored response from a Store. The caller releases it. It is immutable, and many
// goroutines may share one.
type Entry struct {
	*Meta
	Body Body
}

// Release ends the use of the stored response. e may be nil.
func (e *Entry) Release() {
	if e != nil {
		e.Body.Close()
	}
}

// Policy returns the response that policy decides by, nil for a nil Entry.
func (e *Entry) Policy() *policy.Response {
	if e == nil {
		return nil
	}
	return &e.Response
}

// Part is one representation of a stored response. A file has one; a packument
// has several, made from the same answer of a master and committed together.
type Part struct {
	Variant     string // "full", "abbreviated", or ""
	Encoding    string // content coding; "" is identity
	ContentType string // overrides Header's when set
	ETag        string // overrides Header's when set
	Offset      int64  // in the body
	Size        int64  // bytes; -1 while it is not known
	CRC         uint32 // CRC32C of the part's bytes
}

// Size is the body's size in bytes, all parts together.
func (m *Meta) Size() int64 {
	var n int64
	for i := range m.Parts {
		n += m.Parts[i].Size
	}
	return n
}

// Overhead is an estimate of a Meta's size in memory, without the body.
func (m *Meta) Overhead() int64 {
	n := int64(512 + len(m.Key) + len(m.Site) + 128*len(m.Parts))
	for name, values := range m.Header {
		n += int64(64 + len(name))
		for _, v := range values {
			n += int64(16 + len(v))
		}
	}
	return n
}

// SameBytes reports whether two Metas describe the same body.
func SameBytes(a, b *Meta) bool {
	return slices.Equal(a.Parts, b.Parts)
}

// Intact reports whether a whole body has its parts' checksums.
func Intact(m *Meta, body []byte) bool {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	for _, p := range m.Parts {
		if p.Offset+p.Size > int64(len(body)) || crc32.Checksum(body[p.Offset:p.Offset+p.Size], castagnoli) != p.CRC {
			return false
		}
	}
	return true
}
