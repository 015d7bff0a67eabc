package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"

	"pkgedge/cache"
	"pkgedge/origin/kind"
)

// What a passed request tells masters of private scopes, and what its response
// tells clients of withheld packages.

const (
	// largestPassed is the largest body, in bytes and decoded, that is read
	// whole on its way.
	largestPassed = 16 << 20
	// smallPassed is how much of one is read without a place.
	smallPassed = 256 << 10
	// maxPassed is how many larger ones a site reads at a time, and how many it
	// decodes.
	maxPassed = 4
	// passedTime is the longest wait for the whole of one, and for a place.
	passedTime = 10 * time.Second
)

var (
	errPassed = fmt.Errorf("more than %d bytes", largestPassed)
	errCrowd  = errors.New("too many large ones at a time")
)

// discreet says whether the request may go to the masters it is for, without
// anything in it of scopes that have others, and answers it if not. npm names the
// scope of a project in a field of every request, and every package of a project
// in the body of an audit; and it has one token for the edge, which is none for
// masters that are to be read without.
func (x *exchange) discreet() bool {
	if len(x.site.scopes) == 0 {
		return true
	}
	for _, name := range x.site.kind.PrivateFields {
		delete(x.r.Header, name)
	}
	if x.route.Class == kind.PassAny && x.from.authorized == AuthorizedIgnore {
		delete(x.r.Header, "Authorization")
		delete(x.r.Header, "Cookie")
	}
	if !x.route.Strips || x.r.Body == nil || x.r.Body == http.NoBody {
		return true
	}
	if err := x.strip(); errors.Is(err, errCrowd) {
		x.fail(err)
		return false
	} else if err != nil {
		x.err = err
		x.refuse(cache.Refused, http.StatusBadRequest, "cannot take private packages out of this request, so it goes nowhere: "+err.Error())
		return false
	}
	return true
}

// strip replaces the request's body by one without names of other private scopes.
func (x *exchange) strip() error {
	// An error means that the connection cannot have one, as in tests.
	_ = x.control.SetReadDeadline(time.Now().Add(passedTime))
	raw, err := x.site.whole(x.r.Context(), x.r.Body)
	if err != nil {
		return err
	}
	_ = x.control.SetReadDeadline(time.Time{})
	elsewhere := func(scope string) bool { return x.site.scopes[scope] != nil && scope != x.from.scope }
	body, err := x.site.rewritten(x.r.Context(), raw, x.r.Header["Content-Encoding"], func(body []byte) ([]byte, error) {
		return x.site.redactor.Strip(x.route, body, elsewhere)
	})
	if err != nil {
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
	if !x.route.Filters || resp.StatusCode != http.StatusOK || x.r.Method == http.MethodHead {
		return nil
	}
	raw, err := x.site.whole(x.r.Context(), &until{resp.Body, time.Now().Add(passedTime)})
	if err != nil {
		return fmt.Errorf("cannot read the response: %w", err)
	}
	body, err := x.site.rewritten(x.r.Context(), raw, resp.Header["Content-Encoding"], func(body []byte) ([]byte, error) {
		return x.site.redactor.Filter(x.route, body)
	})
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

// whole reads a body. The beginning costs no place: who dawdles over a small one
// holds up nobody.
func (s *site) whole(ctx context.Context, body io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(body, smallPassed))
	if err != nil || len(raw) < smallPassed {
		return raw, err
	}
	leave, err := enter(ctx, s.reading)
	if err != nil {
		return nil, err
	}
	defer leave()
	rest, err := io.ReadAll(io.LimitReader(body, largestPassed-smallPassed+1))
	if raw = append(raw, rest...); err == nil && len(raw) > largestPassed {
		err = errPassed
	}
	return raw, err
}

// until is a body that is read no longer than that, and one read more: each has
// its own bound.
type until struct {
	io.Reader
	end time.Time
}

func (u *until) Read(p []byte) (int, error) {
	if time.Now().After(u.end) {
		return 0, os.ErrDeadlineExceeded
	}
	return u.Reader.Read(p)
}

// rewritten is what change makes of a body without its content coding.
func (s *site) rewritten(ctx context.Context, raw []byte, codings []string, change func([]byte) ([]byte, error)) ([]byte, error) {
	leave, err := enter(ctx, s.decoding)
	if err != nil {
		return nil, err
	}
	defer leave()
	body, err := decoded(raw, codings)
	if err != nil {
		return nil, err
	}
	return change(body)
}

// enter waits for a place.
func enter(ctx context.Context, places chan struct{}) (leave func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, passedTime, errCrowd)
	defer cancel()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// decoded is a body without its content coding.
func decoded(raw []byte, codings []string) ([]byte, error) {
	switch {
	case len(codings) == 0, len(codings) == 1 && codings[0] == "identity":
		return raw, nil
	case len(codings) == 1 && (codings[0] == "gzip" || codings[0] == "x-gzip"):
	default:
		return nil, errors.New("its content coding is not known here")
	}
	zr, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(zr, largestPassed+1))
	if err == nil && len(body) > largestPassed {
		err = errPassed
	}
	return body, err
}
