package policy

import (
	"net/http"
	"strconv"
	"strings"
)

// Range is one byte range of a request (RFC 9110 section 14.1.2).
type Range struct {
	First  int64 // first byte; -1 for a suffix range
	Last   int64 // last byte, or the suffix's length; -1 when open
	suffix bool
}

// maxRanges is how many ranges of one request are looked at. A request with more
// is answered with the whole, as RFC 9110 section 14.2 lets a server do.
const maxRanges = 16

// ParseRange reads a Range field. ok is false when it does not count: another
// unit, a syntax error, or too many ranges.
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

// position reads a byte position; one too large to represent is the largest.
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

// In returns where the range begins in a representation of size bytes, and how
// many bytes it has there; none when it cannot be satisfied.
func (r Range) In(size int64) (start, length int64) {
	switch {
	case r.suffix:
		length = min(r.Last, size)
		return size - length, length
	case r.First >= size:
		return 0, 0
	case r.Last < 0 || r.Last >= size:
		return r.First, size - r.First
	}
	return r.First, r.Last - r.First + 1
}

// Span says that a stored response has only a part of its representation: Size
// bytes from First on, of Total.
type Span struct {
	First int64 `json:"first"`
	Total int64 `json:"total"`
	Size  int64 `json:"-"`
}

// Contains says whether the stored bytes answer a request: all of them are
// there, or those that its one range wants.
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

// Continues says whether the part of a representation with the fields h that
// begins at first comes right after the stored part r (RFC 9111 section 3.4).
func (r *Response) Continues(h http.Header, first, total int64) bool {
	return r.Span != nil && r.Span.First+r.Span.Size == first && r.Span.Total == total &&
		StrongTag(h) != "" && StrongTag(h) == StrongTag(r.Header)
}

// ParseContentRange reads the Content-Range of a 206 with a known total (RFC
// 9110 section 14.4).
func ParseContentRange(h http.Header) (first, last, total int64, ok bool) {
	lines := h["Content-Range"]
	if len(lines) != 1 {
		return 0, 0, 0, false
	}
	span, found := strings.CutPrefix(lines[0], "bytes ")
	span, all, found2 := strings.Cut(span, "/")
	from, to, found3 := strings.Cut(span, "-")
	first, ok1 := position(from)
	last, ok2 := position(to)
	total, ok3 := position(all)
	ok = found && found2 && found3 && ok1 && ok2 && ok3 && first <= last && last < total
	return first, last, total, ok
}

// StrongTag is the response's ETag if that is strong: only then are two
// responses known to be parts of one representation (RFC 9111 section 3.4).
func StrongTag(h http.Header) string {
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return ""
}
