package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"

	"pkgedge/cache"
)

// What a passed request tells masters of private scopes, and what its response
// tells clients of withheld packages.

const (
	// largestPassed is the largest body, in bytes and decoded, that is read
	// whole on its way.
	largestPassed = 16 << 20
	// maxPassed is how many of them a site reads at a time; more wait.
	maxPassed = 4
)

var errPassed = fmt.Errorf("more than %d bytes", largestPassed)

// private says whether a scope has masters of its own.
func (s *site) private(scope string) bool { return s.scopes[scope] != nil }

// discreet says whether the request may go to the masters it is for, without
// anything in it of other scopes, and answers it if not. npm names the scope of
// a project in a field of every request, and every package of a project in the
// body of an audit.
func (x *exchange) discreet() bool {
	if len(x.site.scopes) == 0 || x.from.scope != "" {
		return true
	}
	for _, name := range []string{"Npm-Scope", "Referer", "Pacote-Pkg-Id", "Pacote-Integrity"} {
		delete(x.r.Header, name)
	}
	if x.route.Strip == nil || x.r.Body == nil || x.r.Body == http.NoBody {
		return true
	}
	if err := x.strip(); err != nil {
		x.err = err
		x.refuse(cache.Refused, http.StatusBadRequest, "cannot take private packages out of this request, so it goes nowhere: "+err.Error())
		return false
	}
	return true
}

// strip replaces the request's body by one without private names.
func (x *exchange) strip() error {
	leave, err := x.site.enter(x.r)
	if err != nil {
		return err
	}
	defer leave()
	_ = x.control.SetReadDeadline(time.Now().Add(stall)) // a place is not for who dawdles; see deadline
	defer x.control.SetReadDeadline(time.Time{})
	body, err := decoded(x.r.Body, x.r.Header["Content-Encoding"])
	if err != nil {
		return err
	}
	if body, err = x.route.Strip(body, x.site.private); err != nil {
		return err
	}
	delete(x.r.Header, "Content-Encoding")
	x.r.Header["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.r.ContentLength = int64(len(body))
	x.r.TransferEncoding = nil
	x.r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// filter replaces a response's body by one without withheld packages.
func (x *exchange) filter(resp *http.Response) error {
	if x.route.Filter == nil || resp.StatusCode != http.StatusOK || x.r.Method == http.MethodHead {
		return nil
	}
	leave, err := x.site.enter(x.r)
	if err != nil {
		return err
	}
	defer leave()
	body, err := decoded(resp.Body, resp.Header["Content-Encoding"])
	if err == nil {
		body, err = x.route.Filter(body)
	}
	if err != nil {
		return fmt.Errorf("cannot filter the response: %w", err)
	}
	for _, name := range []string{"Content-Encoding", "Content-Md5", "Etag", "Digest", "Repr-Digest", "Content-Digest"} {
		resp.Header.Del(name)
	}
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	resp.ContentLength = int64(len(body))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(body), resp.Body}
	return nil
}

// enter waits for a place to read a body whole.
func (s *site) enter(r *http.Request) (leave func(), err error) {
	select {
	case s.passing <- struct{}{}:
		return func() { <-s.passing }, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// decoded reads a body whole, without its content coding.
func decoded(body io.Reader, codings []string) ([]byte, error) {
	switch {
	case len(codings) == 0, len(codings) == 1 && codings[0] == "identity":
	case len(codings) == 1 && (codings[0] == "gzip" || codings[0] == "x-gzip"):
		zr, err := gzip.NewReader(io.LimitReader(body, largestPassed))
		if err != nil {
			return nil, err
		}
		body = zr
	default:
		return nil, errors.New("its content coding is not known here")
	}
	all, err := io.ReadAll(io.LimitReader(body, largestPassed+1))
	if err == nil && len(all) > largestPassed {
		err = errPassed
	}
	return all, err
}
