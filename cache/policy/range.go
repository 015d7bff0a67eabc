package policy

import (
	"net/http"
	"strconv"
	"strings"
)

// Range is one byte range of a request (RFC 9110 section 14.1.2).
type Range struct {
	first  int64 // first byte; -1 for a suffix range
	last   int64 // last byte, or the suffix's length; -1 when open
	suffix bool
}

// maxRanges bounds the ranges of one request. A request with more is answered
// with the whole, as RFC 9110 section 14.2 lets a server do.
const maxRanges = 16

// ParseRange reads a Range field. ok is false when the field is ignored, for
// another unit, a syntax error, or too many ranges.
func ParseRange(lines []string) (ranges []Range, ok bool) {
	if len(lines) != 1 {
		return nil, false
	}
	unit, set, ok := strings.Cut(lines[0], "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return nil, false
	}
	for spec := range strings.SplitSeq(set, ",") {
		if spec = strings.Trim(spec, " \t"); spec == "" {
			continue
		}
		r, ok := parseRange(spec)
		if !ok || len(ranges) == maxRanges {
			return nil, false
		}
		ranges = append(ranges, r)
	}
	return ranges, len(ranges) > 0
}

// parseRange reads one range-spec.
func parseRange(spec string) (Range, bool) {
	from, to, ok := strings.Cut(spec, "-")
	if !ok {
		return Range{}, false
	}
	last, hasLast := position(to)
	if from == "" {
		return Range{-1, last, true}, hasLast
	}
	first, ok := position(from)
	switch {
	case !ok:
		return Range{}, false
	case to == "":
		return Range{first, -1, false}, true
	}
	return Range{first, last, false}, hasLast && last >= first
}

// position reads a byte position. One that is too large becomes the largest.
func position(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 63)
	if err != nil {
		n = 1<<62 - 1
	}
	return n, true
}

// In returns the range's first byte in a representation of size bytes, and the
// number of its bytes there. A range that cannot be satisfied has none.
func (r Range) In(size int64) (start, length int64) {
	switch {
	case r.suffix:
		length = min(r.last, size)
		return size - length, length
	case r.first >= size:
		return 0, 0
	case r.last < 0 || r.last >= size:
		return r.first, size - r.first
	}
	return r.first, r.last - r.first + 1
}

// Span is a part of a representation: Size bytes from First on, of Total.
type Span struct {
	First int64 `json:"first"`
	Total int64 `json:"total"`
	Size  int64 `json:"-"`
}

// Contains says whether the stored bytes answer a request: they are the whole, or
// include its one range.
func (r *Response) Contains(q *Request) bool {
	if r.Span == nil {
		return true
	}
	if len(q.Ranges) != 1 || q.Header.Get("If-Range") != "" {
		return false
	}
	start, length := q.Ranges[0].In(r.Span.Total)
	return length > 0 && start >= r.Span.First && start+length <= r.Span.First+r.Span.Size
}

// ContinuedBy says whether a part with the fields h comes right after the stored
// part of the same representation (section 3.4).
func (r *Response) ContinuedBy(part Span, h http.Header) bool {
	return r.Span != nil && r.Span.First+r.Span.Size == part.First && r.Span.Total == part.Total &&
		StrongTag(h) != "" && StrongTag(h) == StrongTag(r.Header)
}

// ParseContentRange reads the Content-Range of a 206 (RFC 9110 section 14.4). ok
// is false where its range or its total length is not known.
func ParseContentRange(h http.Header) (part Span, ok bool) {
	lines := h["Content-Range"]
	if len(lines) != 1 {
		return Span{}, false
	}
	text, isBytes := strings.CutPrefix(lines[0], "bytes ")
	text, all, hasTotal := strings.Cut(text, "/")
	from, to, hasDash := strings.Cut(text, "-")
	first, hasFirst := position(from)
	last, hasLast := position(to)
	total, isKnown := position(all)
	if !isBytes || !hasTotal || !hasDash || !hasFirst || !hasLast || !isKnown || last < first || total <= last {
		return Span{}, false
	}
	return Span{First: first, Size: last - first + 1, Total: total}, true
}
