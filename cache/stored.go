package cache

import (
	"crypto/sha256"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"

	"pkgedge/cache/policy"
)

// Key names a stored response. Site and ID identify it; Group and Metadata say
// which purges cover it.
type Key struct {
	Site     string // the site's name
	ID       string // unique within the site
	Group    string // what a purge of one package names; may be empty
	Metadata bool   // covered by a purge of its group's metadata
}

// Sum is a key's digest: its name in every tier. Two keys with one sum are told
// apart by the full key, which every tier keeps and compares.
type Sum [16]byte

func (k Key) sum() Sum {
	var buf [256]byte
	b := append(buf[:0], k.Site...)
	b = append(b, 0)
	b = append(b, k.ID...)
	full := sha256.Sum256(b)
	return Sum(full[:16])
}

// Meta is what is kept of a response beside its bytes. It is immutable once
// committed: freshening makes a new one.
type Meta struct {
	Site string `json:"site"`
	Key  string `json:"key"`

	// ID is unique per commit and freshening, and later ones are larger, also
	// across restarts.
	ID uint64 `json:"id"`

	// Born is the purge sequence at the moment the fill began, before anything
	// was asked of a master: a purge after that covers this response even if it
	// was committed later.
	Born uint64 `json:"born"`

	policy.Response // everything that decides when it may be used

	// Authorized says that the request carried Authorization and that the
	// response may be reused all the same (RFC 9111 section 3.5).
	Authorized bool `json:"authorized,omitempty"`

	// Parts are the representations; with a Span there is one.
	Parts []Part `json:"parts"`
}

// Part is one representation of a stored response. A file has one; a packument
// has several, made from the same answer of a master and committed together.
type Part struct {
	Variant     string `json:"variant,omitempty"`  // "full", "abbreviated", or ""
	Encoding    string `json:"encoding,omitempty"` // content coding; "" is identity
	ContentType string `json:"type,omitempty"`     // overrides Header's when set
	ETag        string `json:"etag,omitempty"`     // overrides Header's when set
	Offset      int64  `json:"offset"`             // in the body
	Size        int64  `json:"size"`               // bytes; -1 while it is not known
	CRC         uint32 `json:"crc"`                // CRC32C of the part's bytes
}

// Size is the body's size in bytes, all parts together.
func (m *Meta) Size() int64 {
	var n int64
	for i := range m.Parts {
		n += m.Parts[i].Size
	}
	return n
}

// overhead is what a Meta costs in memory beside the bytes, roughly.
func (m *Meta) overhead() int64 {
	n := int64(512 + len(m.Key) + len(m.Site) + 128*len(m.Parts))
	for name, values := range m.Header {
		n += int64(64 + len(name))
		for _, v := range values {
			n += int64(16 + len(v))
		}
	}
	return n
}

// Stored is a stored response taken from a tier. Whoever takes one releases it.
type Stored struct {
	*Meta
	Body io.ReaderAt // the parts, at their offsets; may be read by many at once

	data []byte   // the body, when it is in memory
	sole bool     // and nowhere else
	file *os.File // the open file, when it is on disk
	base int64    // where the body begins in file

	info    fs.FileInfo
	changed int64   // when the file was changed
	vouched bool    // its bytes have been checked since
	chunks  *chunks // checks them while they are read; nil where that is not needed
}

// Release gives back what the stored response holds open. It may be nil, and
// releasing twice is harmless.
func (s *Stored) Release() {
	if s != nil && s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// response is nil for a nil Stored.
func (s *Stored) response() *policy.Response {
	if s == nil {
		return nil
	}
	return &s.Response
}

// maxMemo is the largest part, in bytes, that a fill holds for its Fetcher.
const maxMemo = 8 << 20

// memo reads the part of a variant. It is nil when there is none that can be
// read, and too large a one is as good as none.
func (s *Stored) memo(variant string) []byte {
	if s == nil || variant == "" {
		return nil
	}
	for _, p := range s.Parts {
		if p.Variant != variant || p.Size > maxMemo {
			continue
		}
		memo := make([]byte, p.Size)
		if n, _ := s.Body.ReadAt(memo, p.Offset); int64(n) == p.Size && crc32.Checksum(memo, castagnoli) == p.CRC {
			return memo
		}
	}
	return nil
}

// sameBytes says that two Metas describe the same body.
func sameBytes(a, b *Meta) bool {
	return slices.Equal(a.Parts, b.Parts)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// intact checks a whole body against its parts' checksums.
func intact(m *Meta, body []byte) bool {
	for _, p := range m.Parts {
		if p.Offset+p.Size > int64(len(body)) || crc32.Checksum(body[p.Offset:p.Offset+p.Size], castagnoli) != p.CRC {
			return false
		}
	}
	return true
}
