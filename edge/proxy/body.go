package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
)

const (
	// pieceSize is how many bytes are written under one deadline, and stallLimit the
	// deadline: a slower client is cut off.
	pieceSize  = 256 << 10
	stallLimit = time.Minute
)

// extendDeadline gives the client time for the next piece.
func (x *exchange) extendDeadline() {
	// An error means that the connection cannot have a deadline, as in tests.
	_ = x.control.SetWriteDeadline(time.Now().Add(stallLimit))
}

// body sends n bytes of an answer from first on, or all there are when n is -1.
// When they cannot be completed the connection is broken: after the header that
// is the only honest signal.
func (x *exchange) body(a *cache.Answer, first, n int64) {
	if b, ok := a.Bytes(); ok {
		sent, err := x.w.Write(b[first : first+n])
		x.sent += int64(sent)
		x.err = err
		return
	}
	from, err := a.Body(x.r.Context(), first)
	if err == nil {
		err = x.copy(from, n, a.Live())
	}
	if err != nil {
		x.err = err
		panic(http.ErrAbortHandler)
	}
}

// copy moves bytes in pieces. From a file each piece is one sendfile; from a
// fill under way each goes out as soon as it is there.
func (x *exchange) copy(from io.Reader, n int64, live bool) error {
	for n != 0 {
		x.extendDeadline()
		want := int64(pieceSize)
		if n > 0 {
			want = min(want, n)
		}
		var moved int64
		var err error
		if live {
			moved, err = x.forward(from, want)
		} else {
			moved, err = io.CopyN(x.w, from, want)
		}
		x.sent += moved
		if n > 0 {
			n -= moved
		}
		switch {
		case errors.Is(err, io.EOF) && n < 0:
			return nil
		case errors.Is(err, io.EOF) && n > 0:
			return io.ErrUnexpectedEOF
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
	}
	return nil
}

// forward moves the bytes that are there, and no more than max.
func (x *exchange) forward(from io.Reader, max int64) (int64, error) {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	n, err := from.Read(buf[:min(int64(len(buf)), max)])
	if n > 0 {
		if _, werr := x.w.Write(buf[:n]); werr != nil {
			return int64(n), werr
		}
		_ = x.control.Flush()
	}
	return int64(n), err
}

// buffers are for bodies copied from a fill under way.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// interim sends a 1xx response on, to clients that know them (RFC 9110 section
// 15.2).
func (x *exchange) interim(status int, fields http.Header) {
	if !x.r.ProtoAtLeast(1, 1) {
		return
	}
	h := x.header()
	for name, values := range policy.EndToEnd(fields) {
		h[name] = values
	}
	x.w.WriteHeader(status)
	clear(h)
}
