package proxy

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/edge/conditional"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// respond sends an answer whose fields are set: whole, some parts of it, or that the
// client has it already.
func (x *exchange) respond(a *cache.Answer) {
	size := a.Part.Size // of the whole representation, -1 while it is not known
	origin := int64(0)  // where the stored bytes begin in it
	if a.Span != nil {
		size, origin = a.Span.Total, a.Span.First
	}
	if a.Status == http.StatusOK && x.asksIfModified() && conditional.NotModified(x.r.Header, x.header(), a.ResponseTime) {
		x.sendHeader(http.StatusNotModified)
		return
	}
	if a.Span != nil && x.header().Get("Content-Range") != "" { // fetched for this request alone
		x.sendHeaderOf(http.StatusPartialContent, a.Part.Size)
		x.body(a, 0, a.Part.Size)
		return
	}
	if a.Status == http.StatusOK && size >= 0 {
		var wanted []conditional.Span
		ok := false
		if x.r.Method == http.MethodGet && len(x.r.Header["Range"]) > 0 {
			wanted, ok = conditional.Spans(x.r.Header, x.header(), a.ResponseTime, size)
		}
		if a.Span != nil {
			wanted, ok = received(wanted, a), true
		}
		if ok && (len(wanted) < 2 || !a.Live() || conditional.Ascending(wanted)) {
			x.ranges(a, wanted, origin, size)
			return
		}
	}
	x.sendHeaderOf(a.Status, size)
	if size != 0 && x.r.Method != http.MethodHead {
		x.body(a, 0, size)
	}
}

// asksIfModified reports whether the request has one of the preconditions that a
// cache evaluates.
func (x *exchange) asksIfModified() bool {
	return len(x.r.Header["If-None-Match"]) > 0 || len(x.r.Header["If-Modified-Since"]) > 0
}

// received keeps to the bytes that an origin sent, where it chose others than the
// request's.
func received(wanted []conditional.Span, a *cache.Answer) []conditional.Span {
	have := conditional.Span{Start: a.Span.First, Length: a.Part.Size}
	if len(wanted) == 1 && wanted[0].Start >= have.Start && wanted[0].End() <= have.End() {
		return wanted
	}
	return []conditional.Span{have}
}

// ranges sends the spans wanted, or says that there are no such bytes.
func (x *exchange) ranges(a *cache.Answer, wanted []conditional.Span, origin, size int64) {
	h := x.header()
	switch len(wanted) {
	case 0:
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
		x.sendHeader(http.StatusRequestedRangeNotSatisfiable)
	case 1:
		h.Set("Content-Range", wanted[0].ContentRange(size))
		x.sendHeaderOf(http.StatusPartialContent, wanted[0].Length)
		x.body(a, wanted[0].Start-origin, wanted[0].Length)
	default:
		p := conditional.NewMultipart(wanted, h.Get("Content-Type"), size, rand.Text())
		h.Set("Content-Type", p.ContentType)
		x.sendHeaderOf(http.StatusPartialContent, p.Size)
		for i, s := range wanted {
			x.w.Write(p.Heads[i])
			x.body(a, s.Start-origin, s.Length)
		}
		x.w.Write(p.Tail)
	}
}

// sendHeaderOf sends the header of a body of size bytes, -1 when not known.
func (x *exchange) sendHeaderOf(status int, size int64) {
	h := x.header()
	if status == http.StatusNoContent || size < 0 {
		delete(h, "Content-Length")
	} else {
		h["Content-Length"] = []string{strconv.FormatInt(size, 10)}
	}
	x.writeHeader(status)
}

// writeHeader sends the header as it is.
func (x *exchange) writeHeader(status int) {
	x.status, x.waited = status, time.Since(x.start)
	x.extendDeadline()
	x.w.WriteHeader(status)
}

// extendDeadline gives the client time for the next piece.
func (x *exchange) extendDeadline() {
	// An error means that the connection cannot have a deadline, as in tests.
	_ = x.control.SetWriteDeadline(time.Now().Add(stallLimit))
}

// sendHeader sends a header without a body, and without the fields of one.
func (x *exchange) sendHeader(status int) {
	h := x.header()
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Content-Type"} {
		delete(h, name)
	}
	if status != http.StatusNotModified {
		h["Content-Length"] = []string{"0"}
	}
	x.writeHeader(status)
}

// fields sets the stored response's fields and the edge's own.
func (x *exchange) fields(a *cache.Answer) {
	h := x.header()
	for name, values := range a.Header {
		if name != strict || x.Secure.HSTS == "" {
			h[name] = values
		}
	}
	if a.Part.ETag != "" {
		h["Etag"] = []string{a.Part.ETag}
	}
	if a.Part.ContentType != "" {
		h["Content-Type"] = []string{a.Part.ContentType}
	}
	if a.Part.Encoding != "" {
		h["Content-Encoding"] = []string{a.Part.Encoding}
	}
	if len(a.Parts) > 1 {
		h["Vary"] = varyNegotiated
	}
	if a.Status == http.StatusOK && a.Part.Size >= 0 {
		h["Accept-Ranges"] = acceptBytes
	}
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // else net/http would guess one
	}
	// Age says that the origin did not answer this request (RFC 9111 section
	// 5.1). A caching origin may have said so already.
	if fromOrigin := a.ForwardStatus != 0 && a.Outcome != cache.Collapsed && a.Outcome != cache.HitError; !fromOrigin || len(h["Age"]) > 0 {
		h["Age"] = []string{strconv.FormatInt(int64(a.Age/time.Second), 10)}
	}
	h["Via"] = append(h["Via"][:len(h["Via"]):len(h["Via"])], "1.1 edge")
	h["Cache-Status"] = append(h["Cache-Status"][:len(h["Cache-Status"]):len(h["Cache-Status"])], cacheStatus(a))
	if !x.site.Kind.Transparent {
		h["Cache-Control"] = []string{x.lifetime(a)}
		for _, name := range [...]string{"Expires", "Pragma", "Cdn-Cache-Control", "Surrogate-Control"} {
			delete(h, name) // the master's: a cache in front would obey it, and not the line above
		}
	}
}

var (
	varyNegotiated = []string{"Accept, Accept-Encoding"}
	acceptBytes    = []string{"bytes"}
)

// lifetime is the Cache-Control that clients of a registry get: explicit,
// because npm guesses without it, and the remaining lifetime, because npm
// ignores Age.
//
// no-transform goes on to the caches in front (RFC 9111 section 5.2), and so do no-store
// and private.
func (x *exchange) lifetime(a *cache.Answer) string {
	b := make([]byte, 0, 64)
	life, ask := x.site.ClientLifetime(x.route, a)
	switch says := a.Clients(); {
	case x.private:
		b = append(b, "private, no-cache"...)
	case says.NoStore:
		b = append(b, "no-store"...)
	default:
		if says.Private {
			b = append(b, "private, max-age="...)
		} else {
			b = append(b, "public, max-age="...)
		}
		b = strconv.AppendInt(b, int64(life/time.Second), 10)
		if ask {
			// Not must-revalidate: with that npm gives up where the edge cannot be
			// reached, instead of using its own copy.
			b = append(b, ", no-cache"...)
		}
	}
	if a.NoTransform() {
		b = append(b, ", no-transform"...)
	}
	if !x.private && x.route.Class == kind.File && !x.route.Moving && a.Status == http.StatusOK && life > 0 {
		b = append(b, ", immutable"...)
	}
	return string(b)
}

// cacheStatus is the history of the answer (RFC 9211).
func cacheStatus(a *cache.Answer) string {
	b := make([]byte, 0, 96)
	b = append(b, "edge"...)
	if a.Forward == "" || !asked(a.Err) { // nothing has gone forward
		b = append(b, "; hit"...)
	} else {
		b = append(b, "; fwd="...)
		b = append(b, a.Forward...)
	}
	if a.ForwardStatus != 0 {
		b = append(b, "; fwd-status="...)
		b = strconv.AppendInt(b, int64(a.ForwardStatus), 10)
	}
	if a.Kept && a.Outcome == cache.Missed {
		b = append(b, "; stored"...)
	}
	if a.Outcome == cache.Collapsed {
		b = append(b, "; collapsed"...)
	}
	b = append(b, "; ttl="...)
	b = strconv.AppendInt(b, int64(a.TTL/time.Second), 10)
	b = append(b, "; detail="...)
	b = append(b, detail(a.Outcome, a.Err)...)
	return string(b)
}

// asked says whether a master was sent the request that failed with err. In an outage
// few are.
func asked(err error) bool {
	var down *origin.Unavailable
	return !errors.Is(err, origin.ErrOutage) || errors.As(err, &down) && down.Asked
}

// detail is the outcome's word, or says that every master is out.
func detail(o cache.Outcome, err error) string {
	if errors.Is(err, origin.ErrOutage) {
		return "outage"
	}
	return o.String()
}

// body sends n bytes of an answer from first on, or all there are when n is -1.
// When they cannot be completed the connection is broken: after the header that
// is the only honest signal.
func (x *exchange) body(a *cache.Answer, first, n int64) {
	if b, ok := a.Bytes(); ok {
		x.err = x.writePieces(b[first : first+n])
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
