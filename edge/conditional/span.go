package conditional

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"pkgedge/cache/policy"
)

// Span is a run of bytes of a representation.
type Span struct{ Start, Length int64 }

// End is the position after the last byte of s.
func (s Span) End() int64 { return s.Start + s.Length }

// ContentRange is the field that names s in a representation of size bytes (RFC
// 9110 section 14.4).
func (s Span) ContentRange(size int64) string {
	return "bytes " + strconv.FormatInt(s.Start, 10) + "-" + strconv.FormatInt(s.End()-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// Spans returns the bytes that a GET's Range asks for in a representation of size
// bytes with the fields of response, which was received at a time. There are none when
// the range cannot be satisfied. ok is false when no Range counts, and the whole is to
// be sent.
func Spans(request, response http.Header, received time.Time, size int64) (wanted []Span, ok bool) {
	if request.Get("Range") == "" || !ifRange(request.Get("If-Range"), response, received) {
		return nil, false
	}
	ranges, ok := policy.ParseRange(request["Range"])
	if !ok {
		return nil, false
	}
	for _, r := range ranges {
		if start, length := r.In(size); length > 0 {
			wanted = append(wanted, Span{start, length})
		}
	}
	if overlap(wanted) {
		return nil, false
	}
	return wanted, true
}

// overlap reports whether any two spans share a byte. Such a request costs more
// than it can want, and gets the whole (RFC 9110 section 14.2).
func overlap(spans []Span) bool {
	if len(spans) < 2 {
		return false
	}
	sorted := slices.SortedFunc(slices.Values(spans), byStart)
	for i := 1; i < len(sorted); i++ {
		if sorted[i].Start < sorted[i-1].End() {
			return true
		}
	}
	return false
}

// Ascending reports whether the spans are in the order of their bytes. Of a fill
// under way nothing else can be sent, as its bytes may not be stored.
func Ascending(spans []Span) bool { return slices.IsSortedFunc(spans, byStart) }

func byStart(a, b Span) int { return cmp.Compare(a.Start, b.Start) }

// ifRange evaluates If-Range (RFC 9110 section 13.1.5). Only a strong validator
// will do. A date has to match exactly, too.
func ifRange(field string, response http.Header, received time.Time) bool {
	switch {
	case field == "":
		return true
	case strings.HasPrefix(field, `"`):
		return field == response.Get("Etag")
	case strings.HasPrefix(field, "W/"):
		return false
	}
	return field == response.Get("Last-Modified") && policy.StrongDate(response, received)
}
