package fetch

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/klauspost/compress/gzip"

	"pkgedge/origin/documents"
	"pkgedge/origin/pool"
	"pkgedge/origin/transport"
)

// refusal is an answer without a document or a file, in the registry's own words: small,
// and never rewritten.
type refusal struct {
	status int
	header http.Header
	body   []byte
}

// relay hands on a refusal. Other statuses than 200 that are no refusal promise something
// that was not asked for.
func relay(r *http.Response, sink Sink) (pool.Verdict, error) {
	if r.StatusCode < 400 {
		return pool.Next, &transport.StatusError{Status: r.StatusCode}
	}
	refusal, err := readRefusal(r)
	if err != nil {
		return pool.Next, err
	}
	return pool.Accepted, refusal.relay(sink)
}

func (k *refusal) relay(sink Sink) error {
	if err := sink.Respond(k.status, k.header, int64(len(k.body))); err != nil {
		return err
	}
	_, err := sink.Write(k.body)
	return err
}

func readRefusal(r *http.Response) (*refusal, error) {
	const longest = 64 << 10
	body, whole, err := documents.ReadUpTo(r.Body, nil, r.ContentLength, longest)
	if err != nil {
		return nil, err
	}
	h := r.Header.Clone()
	h.Del("Content-Length")
	h.Del("Content-Encoding")
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip", "x-gzip":
		zr, err := gzip.NewReader(bytes.NewReader(body))
		if whole = whole && err == nil; whole {
			body, whole, err = documents.ReadUpTo(zr, nil, 0, longest)
			whole = whole && err == nil
		}
	default:
		whole = false
	}
	if !whole { // half a document says less than none
		h.Set("Content-Type", "application/json")
		body = fmt.Appendf(nil, "{\"error\":%q}\n", http.StatusText(r.StatusCode))
	}
	return &refusal{r.StatusCode, h, body}, nil
}
