package policy

import (
	"net/http"
	"strings"
	"time"
)

// Validators are the response's ETag and Last-Modified, for the origin to say whether
// the response still holds (section 4.3.1). A Last-Modified is left out unless it is
// strong: an origin that changes twice in a second would say so for ever.
func (r *Response) Validators() (etag, modified string) {
	if StrongDate(r.Header, r.ResponseTime) {
		modified = r.Header.Get("Last-Modified")
	}
	return r.Header.Get("Etag"), modified
}

// StrongDate says whether the Last-Modified of a response names one representation: the
// origin made the response at least a second later, when no other could have the same date
// any more (RFC 9110 section 8.8.2.2). The time of reception stands in for Date.
func StrongDate(h http.Header, received time.Time) bool {
	lines := h["Last-Modified"]
	if len(lines) != 1 {
		return false
	}
	date := dateValue(h, received)
	if modified, ok := ParseDate(lines[0], received); ok {
		return date.Sub(modified) >= time.Second
	}
	// Some origins write another zone, or a day of one digit, and know the date when they
	// see it again. A zone is not known by its name, so that a day is to lie between.
	modified, err := time.Parse("Mon, 2 Jan 2006 15:04:05 MST", lines[0])
	return err == nil && date.Sub(modified) >= 24*time.Hour
}

// StrongTag is a response's ETag if that is strong. Only a strong one tells that
// two responses are parts of one representation (section 3.4).
func StrongTag(h http.Header) string {
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return ""
}
