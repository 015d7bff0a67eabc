package transport

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// clockError is how far a master's clock may be off before its Date counts
	// for nothing.
	clockError = 24 * time.Hour
	// oldestFile is the largest believable Age of a file, which a cache before
	// the master may keep for a year; a document is at most clockError old.
	oldestFile = 366 * 24 * time.Hour
)

// Sanitize makes a response fit to be stored, and returns a word for each thing
// that no master should send, for metrics. A response must not be fresh for ever,
// nor stale at once, because a clock is wrong. The edge chose the fields that it
// varies by. Its cookies are the edge's own. A file may be older than metadata.
func Sanitize(r *http.Response, file bool, now time.Time) (odd []string) {
	h := r.Header
	delete(h, "Vary")
	if len(h["Set-Cookie"]) > 0 {
		delete(h, "Set-Cookie")
		odd = append(odd, "cookie")
	}
	if len(r.Trailer) > 0 {
		r.Trailer = nil // and nothing reads those that follow the body
		odd = append(odd, "trailers")
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil || date.Sub(now).Abs() > clockError {
		if h.Get("Date") != "" {
			delete(h, "Expires") // by the same clock
			odd = append(odd, "date")
		}
		date = now
		h.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	if expires, err := http.ParseTime(h.Get("Expires")); !file && err == nil && expires.Sub(date) > clockError {
		delete(h, "Expires")
	}
	oldest := clockError
	if file {
		oldest = oldestFile
	}
	if age := h.Get("Age"); age != "" {
		n, err := strconv.ParseUint(strings.TrimSpace(age), 10, 32)
		if err != nil || time.Duration(n)*time.Second > oldest {
			delete(h, "Age")
			odd = append(odd, "age")
		}
	}
	return odd
}
