package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"pkgedge/origin"
)

const (
	// pieceSize is how many bytes are written under one deadline, and stallLimit the
	// deadline: a slower client is cut off.
	pieceSize  = 256 << 10
	stallLimit = time.Minute
	// leastUpload is how many bytes a client sends in stallLimit at least, counted only
	// while it is waited for. It is 256 B/s, as from masters.
	leastUpload = 15 << 10
	// aheadOfPlace is how much of a client's body is there before its request takes a
	// place at a master: all of a login, an audit, and most manifests. A client that
	// sends nothing holds no place.
	aheadOfPlace = 32 << 10
)

// extendDeadline gives the client time for the next piece.
func (x *exchange) extendDeadline() {
	// An error means that the connection cannot have a deadline, as in tests.
	_ = x.control.SetWriteDeadline(time.Now().Add(stallLimit))
}

// writePieces writes bytes that are in memory. The deadline of the first piece is that of
// the header.
func (x *exchange) writePieces(b []byte) error {
	for {
		n, err := x.w.Write(b[:min(len(b), pieceSize)])
		x.sent += int64(n)
		if b = b[n:]; err != nil || len(b) == 0 {
			return err
		}
		x.extendDeadline()
	}
}

// pacedWriter is the client of a request that is passed: it has a deadline for each piece
// of the response, as one of a stored response has.
type pacedWriter struct {
	http.ResponseWriter
	*exchange
}

func (w pacedWriter) WriteHeader(status int) {
	w.extendDeadline()
	w.ResponseWriter.WriteHeader(status)
}

func (w pacedWriter) Write(p []byte) (int, error) {
	w.extendDeadline()
	return w.ResponseWriter.Write(p)
}

func (w pacedWriter) Header() http.Header { return w.ResponseWriter.Header() }

func (w pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// upload is the body of a request that is passed. It ends with an error when its client
// sends nothing for stallLimit, or less than leastUpload in all the waits that make up that
// time.
type upload struct {
	io.ReadCloser
	setDeadline func(time.Time) error // of reads from the client

	waited time.Duration
	got    int
}

// errSlowUpload is a body that comes at no useful rate.
var errSlowUpload = fmt.Errorf("the body of the request drips: %w", os.ErrDeadlineExceeded)

func (u *upload) Read(p []byte) (int, error) {
	begun := time.Now()
	_ = u.setDeadline(begun.Add(stallLimit))
	n, err := u.ReadCloser.Read(p)
	if err != nil {
		if err == io.EOF {
			_ = u.setDeadline(time.Time{}) // net/http reads on, for the end of the connection
		}
		return n, err
	}
	u.got += n
	if u.waited += time.Since(begun); u.waited >= stallLimit {
		if u.got < leastUpload {
			return n, errSlowUpload
		}
		u.waited, u.got = 0, 0
	}
	return n, nil
}

// awaitBody paces the body of a request that is passed, and waits for its beginning.
func (x *exchange) awaitBody() error {
	if x.r.Body == nil || x.r.Body == http.NoBody {
		return nil
	}
	body := &upload{ReadCloser: x.r.Body, setDeadline: x.control.SetReadDeadline}
	begin, err := io.ReadAll(io.LimitReader(body, aheadOfPlace))
	if err != nil {
		return fmt.Errorf("%w: %w", origin.ErrRequest, err)
	}
	x.r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(begin), body), body}
	return nil
}
