package policytest

import (
	"net/http"
	"strings"
	"time"
)

// Epoch is when the responses of pure tests were sent.
var Epoch = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// Fields makes a header of "Name: value" lines.
func Fields(lines ...string) http.Header {
	h := make(http.Header)
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			panic("no field: " + line)
		}
		h.Add(name, value)
	}
	return h
}
