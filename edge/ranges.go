package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"pkgedge/cache/policy"
)

// span is a run of bytes of a representation.
type span struct{ start, length int64 }

func (s span) end() int64 { return s.start + s.length }

// contentRange is the field that names s in a representation of size bytes (RFC
// 9110 section 14.4).
func (s span) contentRange(size int64) string {
	return "bytes " + strconv.FormatInt(s.start, 10) + "-" + strconv.FormatInt(s.end()-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// spans returns the bytes that the request's Range asks for in a representation
// of size bytes, none when they cannot be had. ok is false when there is no
// Range that counts, and the whole is to be sent.
func (x *exchange) spans(size int64) (wanted []span, ok bool) {
	if x.r.Method != http.MethodGet || x.r.Header.Get("Range") == "" || !x.ifRange() {
		return nil, false
	}
	ranges, ok := policy.ParseRange(x.r.Header["Range"])
	if !ok {
		return nil, false
	}
	for _, r := range ranges {
		if start, length := r.In(size); length > 0 {
			wanted = append(wanted, span{start, length})
		}
	}
	if len(wanted) > 1 && !worthParts(wanted) {
		return nil, false
	}
	return wanted, true
}

// worthParts refuses requests that cost more than they can want: ranges that
// overlap (RFC 9110 section 14.2).
func worthParts(wanted []span) bool {
	sorted := slices.SortedFunc(slices.Values(wanted), func(a, b span) int { return cmp.Compare(a.start, b.start) })
	for i := 1; i < len(sorted); i++ {
		if sorted[i].start < sorted[i-1].end() {
			return false
		}
	}
	return true
}

// ascending: the spans are in the order of their bytes. Of a fill under way
// nothing else can be sent, as it may not be kept.
func ascending(spans []span) bool {
	return slices.IsSortedFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
}

// ifRange: RFC 9110 section 13.1.5. Only a strong validator will do, and a date
// is one only when it matches exactly.
func (x *exchange) ifRange() bool {
	v := x.r.Header.Get("If-Range")
	switch {
	case v == "":
		return true
	case strings.HasPrefix(v, `"`):
		return v == x.header().Get("Etag")
	case strings.HasPrefix(v, "W/"):
		return false
	}
	return v == x.header().Get("Last-Modified")
}

// parts frames several spans as multipart/byteranges (RFC 9110 section 14.6).
// Each head goes before its span, and tail after the last.
type parts struct {
	contentType string
	heads       [][]byte
	tail        []byte
	size        int64
}

func newParts(spans []span, contentType string, size int64) parts {
	p := parts{}
	var frame bytes.Buffer
	w := multipart.NewWriter(&frame)
	if err := w.SetBoundary(rand.Text()); err != nil {
		panic(err) // 26 letters and digits are a boundary
	}
	for _, s := range spans {
		h := textproto.MIMEHeader{"Content-Range": {s.contentRange(size)}}
		if contentType != "" {
			h.Set("Content-Type", contentType)
		}
		w.CreatePart(h) // into memory: cannot fail
		p.heads = append(p.heads, bytes.Clone(frame.Bytes()))
		p.size += int64(frame.Len()) + s.length
		frame.Reset()
	}
	w.Close()
	p.tail = frame.Bytes()
	p.size += int64(len(p.tail))
	p.contentType = fmt.Sprintf("multipart/byteranges; boundary=%s", w.Boundary())
	return p
}
