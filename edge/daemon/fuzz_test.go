package daemon

import (
	"net/http"
	"testing"
)

// FuzzAClientCannotPutAMasterOut sends bytes to an edge in front of healthy masters.
// However wrong they are, the masters are healthy afterwards, and no client is told
// that they are not.
func FuzzAClientCannotPutAMasterOut(f *testing.F) {
	for _, r := range oddRequests {
		f.Add(r.request)
	}
	for _, line := range []string{
		"GET /edge-sample-words", "GET /EDGE-Sample-Words", "GET /edge-sample-words/-/edge-sample-words-1.0.0.tgz", "HEAD /edge-sample-words/1.0.0",
		"GET /edge-sample-words?write=true", "GET //edge-sample-words/", "GET /@edge-sample%2fcolour", "GET /never-seen", "GET /%ff", "GET /n/-/%00.tgz",
		"DELETE /-/user/token/x", "POST /-/v1/login", "PUT /-/package/edge-sample-words/dist-tags/x", "GET /-/npm/v1/attestations/n@1", "GET http://h/n", "OPTIONS *",
	} {
		for _, fields := range []string{
			"", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\nContent-Length: 1\r\n", "Connection: close, X, Upgrade\r\nUpgrade: x\r\n",
			"Range: bytes=9-1\r\nIf-Range: \"\r\n", "Accept-Encoding: br;q=x\r\nTE: trailers\r\n", "Authorization: Bearer \xff\r\n", "Content-Encoding: gzip\r\nContent-Length: 2\r\n",
			"X-Forwarded-For: ;;\r\nVia: x\r\nCookie: \"\r\n", "Idempotency-Key: 1\r\nContent-Length: 0\r\n",
		} {
			f.Add(line + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n{}")
		}
	}
	s := newServed(f, "timeouts: { write: 2s, first_byte: 2s }")
	f.Fuzz(func(t *testing.T, request string) {
		switch status, body := s.edge.raw(t, request); status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			t.Errorf("%d %s", status, body)
		}
		s.healthy(t)
	})
}
