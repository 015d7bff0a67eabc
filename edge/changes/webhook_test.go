package changes

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A message is remembered for an hour, by site, and only the last few thousand are.
func TestMemoryOfHooks(t *testing.T) {
	var h Webhooks
	now := time.Now()
	h.remember("npm", "a", now)
	if !h.seen("npm", "a", now.Add(messageMemory-1)) || h.seen("npm", "a", now.Add(messageMemory)) || h.seen("npm", "b", now) || h.seen("other", "a", now) {
		t.Error("remembers something else")
	}
	for i := range 2 * maxMessages {
		h.remember("npm", strconv.Itoa(i), now)
	}
	if len(h.applied) > maxMessages || h.seen("npm", "a", now) || h.seen("npm", "0", now) || !h.seen("npm", strconv.Itoa(2*maxMessages-1), now) || !h.seen("npm", strconv.Itoa(maxMessages+maxMessages/2), now) {
		t.Errorf("%d are remembered, or not the last", len(h.applied))
	}
}

// No body is read while too many others are.
func TestBodiesAreReadAFewAtATime(t *testing.T) {
	var h Webhooks
	receive := func() (*httptest.ResponseRecorder, int) {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/hooks/npm", strings.NewReader("{}"))
		r.Header.Set("X-Npm-Signature", "sha256="+strings.Repeat("0", 64))
		status, _, err := h.Receive(w, r, nil, "secret")
		if err != nil {
			t.Error(err)
		}
		return w, status
	}
	h.reading.Add(maxReading)
	if w, status := receive(); status != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q", status, w.Header().Get("Retry-After"))
	}
	h.reading.Add(-1)
	for range 2 {
		if _, status := receive(); status != http.StatusForbidden { // its body has been read
			t.Errorf("with a slot: %d", status)
		}
	}
	if n := h.reading.Load(); n != maxReading-1 {
		t.Errorf("%d slots are taken", n)
	}
}
