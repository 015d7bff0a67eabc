package sample

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestBodiesBeyondTheLimitAreRefused(t *testing.T) {
	carried := 0
	m := NewMaster(NewStore(), Options{Intercept: func(x *Exchange) { carried++; x.Writer.WriteHeader(http.StatusOK) }})
	if m.longest != maxUpload {
		t.Errorf("%d bytes are taken, want %d", m.longest, maxUpload)
	}
	m.longest = 1000
	for _, tt := range []struct{ size, status, carried int }{{1000, 200, 1}, {1001, 413, 1}} {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest("POST", "/-/npm/v1/security/advisories/bulk", strings.NewReader(strings.Repeat("b", tt.size))))
		if w.Code != tt.status || carried != tt.carried {
			t.Errorf("%d bytes: status %d, %d requests were carried out", tt.size, w.Code, carried)
		}
	}
}
