package main

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pkgedge/cache"
	"pkgedge/origin/kind"
)

// respond sends an answer: whole, a part of it, or the news that the client has
// it already.
func (x *exchange) respond(a *cache.Answer) {
	x.fields(a)
	h := x.header()
	size := a.Part.Size
	first, n := int64(0), size
	status := a.Status
	switch c := x.condition(a); {
	case c != 0:
		status = c
	case a.Status == http.StatusOK && size >= 0:
		switch r, ok := x.byteRange(a); {
		case !ok:
		case r.length == 0:
			status = http.StatusRequestedRangeNotSatisfiable
			h.Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
		default:
			status = http.StatusPartialContent
			first, n = r.start, r.length
			h.Set("Content-Range", r.content(size))
		}
	}
	switch status {
	case http.StatusNotModified, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Type"} {
			delete(h, name)
		}
		n = 0
		if status != http.StatusNotModified {
			h["Content-Length"] = []string{"0"}
		}
	case http.StatusNoContent:
		n = 0
	default:
		if n >= 0 {
			h["Content-Length"] = []string{strconv.FormatInt(n, 10)}
		} else {
			delete(h, "Content-Length")
		}
	}
	x.status = status
	x.deadline()
	x.w.WriteHeader(status)
	if n != 0 && x.r.Method != http.MethodHead {
		x.body(a, first, n)
	}
}

// fields copies the stored response's fields and adds the edge's.
func (x *exchange) fields(a *cache.Answer) {
	h := x.header()
	for name, values := range a.Header {
		h[name] = values
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
	h["Age"] = []string{strconv.FormatInt(int64(a.Age/time.Second), 10)}
	h["Via"] = append(h["Via"][:len(h["Via"]):len(h["Via"])], "1.1 edge")
	h["Cache-Status"] = append(h["Cache-Status"][:len(h["Cache-Status"]):len(h["Cache-Status"])], cacheStatus(a))
	if !x.site.plain {
		h["Cache-Control"] = []string{x.lifetime(a)}
		delete(h, "Expires")
		delete(h, "Pragma")
	}
}

var (
	varyNegotiated = []string{"Accept, Accept-Encoding"}
	acceptBytes    = []string{"bytes"}
)

// lifetime is the Cache-Control that clients of a registry get: explicit,
// because npm guesses without it, and the remaining lifetime, because npm
// ignores Age.
func (x *exchange) lifetime(a *cache.Answer) string {
	if a.Outcome == cache.Passed {
		return "private, no-cache"
	}
	b := make([]byte, 0, 48)
	b = append(b, "public, max-age="...)
	b = strconv.AppendInt(b, int64(max(0, a.TTL)/time.Second), 10)
	if x.route.Class == kind.File && a.Status == http.StatusOK {
		b = append(b, ", immutable"...)
	}
	return string(b)
}

// cacheStatus tells how the answer came about (RFC 9211).
func cacheStatus(a *cache.Answer) string {
	b := make([]byte, 0, 96)
	b = append(b, "edge"...)
	switch {
	case a.Outcome == cache.Passed:
		b = append(b, "; fwd=bypass"...)
	case a.Forward == "":
		b = append(b, "; hit"...)
	default:
		b = append(b, "; fwd="...)
		b = append(b, forwardReason(a.Forward)...)
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
	if a.Outcome != cache.Passed {
		b = append(b, "; ttl="...)
		b = strconv.AppendInt(b, int64(a.TTL/time.Second), 10)
	}
	b = append(b, "; detail="...)
	b = append(b, a.Outcome.String()...)
	return string(b)
}

func forwardReason(why string) string {
	if why == "miss" {
		return "uri-miss"
	}
	return why
}

// condition evaluates the request's preconditions against a 200 (RFC 9110
// section 13.2.2) and returns the status that answers instead, or 0.
func (x *exchange) condition(a *cache.Answer) int {
	if a.Status != http.StatusOK {
		return 0
	}
	etag := x.header().Get("Etag")
	if lines := x.r.Header["If-None-Match"]; len(lines) > 0 {
		if matches(lines, etag) {
			return http.StatusNotModified
		}
		return 0 // If-Modified-Since does not count beside it
	}
	if since := x.r.Header.Get("If-Modified-Since"); since != "" {
		modified, ok := cache.ParseDate(x.header().Get("Last-Modified"), x.start)
		limit, ok2 := cache.ParseDate(since, x.start)
		if ok && ok2 && !modified.After(limit) {
			return http.StatusNotModified
		}
	}
	return 0
}

// matches compares entity-tags weakly (RFC 9110 section 8.8.3.2).
func matches(lines []string, etag string) bool {
	for _, line := range lines {
		for tag := range strings.SplitSeq(line, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || etag != "" && strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag, "W/") {
				return true
			}
		}
	}
	return false
}

// piece is how much is written under one deadline: a client slower than that
// per stall is cut off.
const piece = 256 << 10

// body sends n bytes from first on, or all there are when n is -1. When they
// cannot be completed the connection is broken: after the header that is the
// only honest signal.
func (x *exchange) body(a *cache.Answer, first, n int64) {
	if b, ok := a.Bytes(); ok {
		sent, err := x.w.Write(b[first : first+n])
		x.sent = int64(sent)
		x.err = err
		return
	}
	from, err := a.Body(x.r.Context(), first)
	if err == nil {
		err = x.copy(from, n, a.Outcome)
	}
	if err != nil {
		x.err = err
		panic(http.ErrAbortHandler)
	}
}

// copy moves bytes in pieces. From a file each piece is one sendfile; from a
// fill under way each goes out as soon as it is there.
func (x *exchange) copy(from io.Reader, n int64, o cache.Outcome) error {
	live := o == cache.Missed || o == cache.Collapsed || o == cache.Passed
	for n != 0 {
		x.deadline()
		want := int64(piece)
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

// forward moves what is there, and no more than max bytes.
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
