package redact

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
)

// MaxBody is the largest body that is rewritten, in bytes and decoded.
const MaxBody = 16 << 20

const (
	// smallBody is how much of a body is read without a slot.
	smallBody = 256 << 10
	// maxConcurrent is how many bodies of more than smallBody are read at a time,
	// and how many bodies are decoded.
	maxConcurrent = 4
	// timeLimit is the longest wait for a whole body, and for a slot.
	timeLimit = 10 * time.Second
)

// ErrBusy is for a body that waited for a slot longer than its time limit.
var ErrBusy = errors.New("too many large ones at a time")

var errLarge = fmt.Errorf("more than %d bytes", MaxBody)

// Change makes a body without its content coding into another one. Its error
// means that the body may go nowhere.
type Change func(body []byte) ([]byte, error)

// Redactor rewrites the bodies of one site. It is safe for concurrent use.
type Redactor struct {
	reading  chan struct{} // a slot for each large body that is read
	decoding chan struct{} // a slot for each body that is decoded and changed
	largest  int           // bytes of a body, decoded
}

// New returns a Redactor with all of its slots free.
func New() *Redactor {
	return &Redactor{reading: make(chan struct{}, maxConcurrent), decoding: make(chan struct{}, maxConcurrent), largest: MaxBody}
}

// Request replaces the body of r by the changed one. setDeadline bounds
// reads from the client. The error is [ErrBusy] when too many large bodies are
// read already.
func (d *Redactor) Request(r *http.Request, setDeadline func(time.Time) error, change Change) error {
	// An error means that the connection cannot have a deadline, as in tests.
	_ = setDeadline(time.Now().Add(timeLimit))
	raw, err := d.readAll(r.Context(), r.Body)
	if err != nil {
		return err
	}
	_ = setDeadline(time.Time{})
	body, err := d.rewrite(r.Context(), raw, r.Header["Content-Encoding"], change)
	if err != nil {
		return err
	}
	delete(r.Header, "Content-Encoding")
	r.Header["Content-Length"] = []string{strconv.Itoa(len(body))}
	r.ContentLength = int64(len(body))
	r.TransferEncoding = nil
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// Response replaces the body of resp by the changed one, and deletes the
// fields that described the old one.
func (d *Redactor) Response(ctx context.Context, resp *http.Response, change Change) error {
	raw, err := d.readAll(ctx, &limitedReader{resp.Body, time.Now().Add(timeLimit)})
	if err != nil {
		return fmt.Errorf("cannot read the response: %w", err)
	}
	body, err := d.rewrite(ctx, raw, resp.Header["Content-Encoding"], change)
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

// readAll reads a body. Its beginning needs no slot: a client that dawdles over a
// small body holds up no other.
func (d *Redactor) readAll(ctx context.Context, body io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(body, smallBody))
	if err != nil || len(raw) < smallBody {
		return raw, err
	}
	release, err := acquire(ctx, d.reading)
	if err != nil {
		return nil, err
	}
	defer release()
	rest, err := io.ReadAll(io.LimitReader(body, int64(d.largest-smallBody+1)))
	if raw = append(raw, rest...); err == nil && len(raw) > d.largest {
		err = errLarge
	}
	return raw, err
}

// limitedReader reads until a time has passed. The read under way then is the
// last one: each has a bound of its own.
type limitedReader struct {
	io.Reader
	end time.Time
}

func (r *limitedReader) Read(p []byte) (int, error) {
	if time.Now().After(r.end) {
		return 0, os.ErrDeadlineExceeded
	}
	return r.Reader.Read(p)
}

// rewrite decodes a body and changes it.
func (d *Redactor) rewrite(ctx context.Context, raw []byte, codings []string, change Change) ([]byte, error) {
	release, err := acquire(ctx, d.decoding)
	if err != nil {
		return nil, err
	}
	defer release()
	body, err := decode(raw, codings, d.largest)
	if err != nil {
		return nil, err
	}
	return change(body)
}

// acquire waits for a slot.
func acquire(ctx context.Context, slots chan struct{}) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeLimit, ErrBusy)
	defer cancel()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// decode undoes the content coding of a body of at most largest bytes.
func decode(raw []byte, codings []string, largest int) ([]byte, error) {
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
	body, err := io.ReadAll(io.LimitReader(zr, int64(largest)+1))
	if err == nil && len(body) > largest {
		err = errLarge
	}
	return body, err
}
