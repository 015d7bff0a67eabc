package fetch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/pool"
	"pkgedge/origin/transport"
	"pkgedge/origin/verify"
)

// transfer is a file on its way from masters to a sink. Where the digest is known,
// another master may complete a file that one master began: the digest is of all
// the bytes together.
type transfer struct {
	sink Sink
	ask  pool.Request
	want *expectation

	missing absences
	refusal *refusal // of the last master that does not have the file

	digest   kind.Digest
	check    verify.Verifier // nil for a file that cannot be checked
	unsure   bool            // the list that might have a digest cannot be had
	withheld []byte          // the last bytes: always some, and at most withheldTail
	off      int64           // bytes taken so far
	size     int64           // of the file, -1 when it is not known
	etag     string          // the master's, when it is strong

	broken  error // why the master's last bytes did not come
	refused error // why the sink takes no more
	resumes int
	spooling
}

// maxResumes is how often one transfer is taken up again.
const maxResumes = 4

// stream passes a file on as it comes, and its tail only when the file is right.
func (f *Fetcher) stream(r *http.Response, t *transfer) (pool.Verdict, error) {
	// Nothing is released before there is a first byte: a master that sends
	// fields and no more can be passed over.
	body := f.reader(r.Body)
	defer f.putReader(body)
	begin, err := body.Peek(2)
	if len(begin) == 0 && err != nil && err != io.EOF {
		return pool.Next, err
	}
	t.digest, t.check = kind.Digest{}, nil
	if !t.ask.Route.Transparent {
		d, ok := t.want.digest(false)
		if ok {
			t.digest, t.check = d, verify.Digest(d)
		} else if err := plausible(t.ask.Route, r.Header, begin); err != nil {
			return pool.Next, err
		} else if framed(t.ask.Route) {
			t.check = verify.Gzip()
		}
		t.describe(r.Header, d)
	}
	t.size = r.ContentLength
	if tag := r.Header.Get("Etag"); !strings.HasPrefix(tag, "W/") {
		t.etag = tag
	}
	if err := t.respond(r); err != nil {
		t.end()
		return pool.Accepted, err
	}
	err = t.copyFrom(body)
	if err != nil && t.refused == nil && t.spool.Spooled() && (t.broken == nil || t.digest.Algorithm == "") {
		return pool.Next, err // another master begins anew
	}
	return pool.Accepted, err
}

// reader returns a buffered reader of a body. No one of them outlives its response.
func (f *Fetcher) reader(body io.Reader) *bufio.Reader {
	if r, ok := f.readers.Get().(*bufio.Reader); ok {
		r.Reset(body)
		return r
	}
	return bufio.NewReaderSize(body, copyBuffer)
}

func (f *Fetcher) putReader(r *bufio.Reader) {
	r.Reset(nil)
	f.readers.Put(r)
}

// copyFrom copies from a master to the end, and verifies.
func (t *transfer) copyFrom(body io.WriterTo) error {
	t.broken = nil
	t.beginSpan()
	if _, err := body.WriteTo(t); err != nil {
		if t.refused != nil {
			t.end()
			return t.refused
		}
		if t.broken = err; t.digest.Algorithm == "" {
			t.end()
		}
		return err
	}
	if t.check == nil {
		return nil
	}
	err := t.check.Verify()
	if err != nil && t.digest.Algorithm != "" {
		// As in check; a sum by another algorithm cannot be had any more.
		if d, ok := t.want.digest(true); ok && d.Algorithm == t.digest.Algorithm {
			t.check.(*verify.Sum).Want = d
			err = t.check.Verify()
		}
	}
	if err != nil {
		return err
	}
	_, err = t.sink.Write(t.withheld)
	return err
}

// end stops the check of a transfer that will not be completed.
func (t *transfer) end() {
	if t.check != nil {
		t.check.Stop()
	}
}

// Write takes the next bytes of the file, and passes on all but the tail.
func (t *transfer) Write(p []byte) (int, error) {
	t.off += int64(len(p))
	if t.awaited.Load() && !t.endsSoon(time.Now()) {
		t.release()
	}
	if t.check == nil {
		return t.passOn(p)
	}
	t.check.Write(p)
	if len(t.withheld)+len(p) <= withheldTail {
		t.withheld = append(t.withheld, p...)
		return len(p), nil
	}
	if _, err := t.passOn(t.withheld); err != nil {
		return 0, err
	}
	t.withheld = t.withheld[:0]
	keep := p
	if over := len(p) - withheldTail; over > 0 {
		if _, err := t.passOn(p[:over]); err != nil {
			return 0, err
		}
		keep = p[over:]
	}
	t.withheld = append(t.withheld[:0], keep...)
	return len(p), nil
}

func (t *transfer) passOn(p []byte) (int, error) {
	n, err := t.sink.Write(p)
	t.refused = err
	return n, err
}

// interrupted says whether a transfer that ended with err can be taken up again
// where it broke off.
func (t *transfer) interrupted(ctx context.Context, err error) bool {
	return err != nil && t.broken != nil && t.digest.Algorithm != "" && ctx.Err() == nil && t.resumes < maxResumes
}

// resume asks for the rest of a file (RFC 9110 section 14.2). A master that has
// another representation, by its own account, sends the whole. Then the bytes that
// have been taken already are skipped, and the digest tells whether they were the
// same.
func (f *Fetcher) resume(ctx context.Context, t *transfer) error {
	t.resumes++
	t.mixed = true
	t.awaited.Store(true) // the next bytes are waited for as the first ones were
	a := t.ask
	a.ETag, a.LastModified = "", ""
	a.Range, a.IfRange = "bytes="+strconv.FormatInt(t.off, 10)+"-", t.etag
	broken := t.broken
	err := f.files.Each(ctx, a, func(_ context.Context, m *health.Master, r *http.Response) (pool.Verdict, error) {
		body := f.reader(r.Body)
		defer f.putReader(body)
		switch {
		case r.StatusCode == http.StatusPartialContent:
			if err := t.continues(r.Header); err != nil {
				return pool.Next, err
			}
		case r.StatusCode == http.StatusOK:
			if n, err := io.CopyN(io.Discard, body, t.off); err != nil {
				return pool.Next, fmt.Errorf("%w: it ends after %d bytes: %w", verify.ErrFile, n, noEOF(err))
			}
		default:
			return pool.Next, &transport.StatusError{Status: r.StatusCode}
		}
		if _, err := body.Peek(1); err != nil && err != io.EOF {
			return pool.Next, err
		}
		t.awaited.Store(t.spool.Spooled())
		err := t.copyFrom(body)
		if errors.Is(err, verify.ErrDigest) { // whose bytes were wrong, nobody knows
			err = &health.Ours{Word: verify.ErrDigest.Word, Err: err}
			return pool.Accepted, err
		}
		return pool.Accepted, f.noteBadCopy(m, t, err)
	})
	if err != nil && t.broken == broken { // nobody had the rest
		t.broken = nil
		return errors.Join(broken, err)
	}
	return err
}

// continues says whether a 206 begins where the transfer broke off, in a file of
// the same size.
func (t *transfer) continues(h http.Header) error {
	value := h.Get("Content-Range")
	span, total, _ := strings.Cut(strings.TrimPrefix(value, "bytes "), "/")
	first, _, _ := strings.Cut(span, "-")
	if first != strconv.FormatInt(t.off, 10) || t.size >= 0 && total != "*" && total != strconv.FormatInt(t.size, 10) {
		return fmt.Errorf("%w: asked for the bytes from %d of %d on, got %q", verify.ErrFile, t.off, t.size, value)
	}
	return nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
