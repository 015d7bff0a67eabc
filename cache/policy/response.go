package policy

import (
	"net/http"
	"time"
)

// Response is the part of a stored response that decides when it may be used:
// all of it but the bytes. It is immutable. A validation makes a new one, see
// [Response.Freshened].
type Response struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"` // the stored fields, as the origin sent them

	// RequestTime and ResponseTime are request_time and response_time of section
	// 4.2.3, of the fetch or of the last validation.
	RequestTime  time.Time `json:"requested"`
	ResponseTime time.Time `json:"received"`

	// Vary has the names of the selecting fields and their normalised values
	// (section 4.1), alternating.
	Vary []string `json:"vary,omitempty"`

	// Span is set when the stored bytes are not the whole representation (section
	// 3.3).
	Span *Span `json:"piece,omitempty"`

	fresh freshness // derived from the fields by Measure
}

// IsMissing says whether a status means that there is nothing.
func IsMissing(status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone
}

// IsServerError says whether a status counts as an error of the origin (RFC 5861
// section 4).
func IsServerError(status int) bool {
	switch status {
	case 500, 502, 503, 504:
		return true
	}
	return false
}
