package policy

import (
	"maps"
	"net/http"
	"time"
)

// keptOn304 lists the fields that describe the stored bytes. A 304 does not
// replace them (section 3.2).
var keptOn304 = [...]string{"Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Etag"}

// Freshened returns the stored response with the fields of a 304 (sections 3.2
// and 4.3.4).
func (r *Response) Freshened(h http.Header, requested, received time.Time) Response {
	n := *r
	n.Header = r.Header.Clone()
	delete(n.Header, "Age") // the old one counted from the old Date
	if len(h["Date"]) == 0 {
		delete(n.Header, "Date")
	}
	c := control(h)
	maps.Copy(n.Header, storedFields(h, &c))
	for _, name := range keptOn304 {
		if old, ok := r.Header[name]; ok {
			n.Header[name] = old
		} else {
			delete(n.Header, name)
		}
	}
	if StrongTag(r.Header) == "" && !StrongDate(r.Header, r.ResponseTime) {
		// The origin was not asked about this date. A later Date would make it strong.
		delete(n.Header, "Last-Modified")
	}
	n.RequestTime, n.ResponseTime = requested, received
	n.Measure()
	return n
}

// SameRepresentation says whether the response to a HEAD describes the stored
// representation: none of its validators differs, nor does its length (section
// 4.3.5). Where a date is the only validator it has to be strong.
func (r *Response) SameRepresentation(head http.Header) bool {
	if head.Get("Etag") == "" && head.Get("Last-Modified") != "" && !StrongDate(r.Header, r.ResponseTime) {
		return false
	}
	for _, name := range []string{"Etag", "Last-Modified", "Content-Length"} {
		if v := head.Get(name); v != "" && v != r.Header.Get(name) {
			return false
		}
	}
	return true
}
