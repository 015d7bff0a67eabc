package policy

import (
	"maps"
	"net/http"
	"time"
)

// keptOn304 lists the fields that describe the stored bytes, which a 304 does
// not replace (RFC 9111 section 3.2).
var keptOn304 = [...]string{"Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Etag"}

// Freshened returns the stored response as a 304 with the given fields renews it
// (RFC 9111 sections 3.2 and 4.3.4).
func (r *Response) Freshened(h http.Header, requested, received time.Time) Response {
	n := *r
	n.Header = r.Header.Clone()
	delete(n.Header, "Age") // the 304's, or none: the old one counted from the old Date
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
	n.RequestTime, n.ResponseTime = requested, received
	n.Measure()
	return n
}

// SameRepresentation says whether the response to a HEAD describes the stored
// representation: no validator and no length that it gives differs (RFC 9111
// section 4.3.5).
func (r *Response) SameRepresentation(head http.Header) bool {
	for _, name := range []string{"Etag", "Last-Modified", "Content-Length"} {
		if v := head.Get(name); v != "" && v != r.Header.Get(name) {
			return false
		}
	}
	return true
}
