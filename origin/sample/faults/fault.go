package faults

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"pkgedge/origin/sample"
	"slices"
	"strings"
)

// Fault is one way of going wrong. Several together apply in their order: the
// first that answers instead of the registry does so, every change is made, and
// the last that says how the answer leaves is obeyed. A fault of a body does
// nothing to an answer without one, but the connection is cut all the same.
type Fault struct {
	instead func(r *http.Request) *sample.Answer // the request is not carried out
	change  func(a *sample.Answer)
	send    func(x exchange)
}

// Hang sends nothing, not even headers.
func Hang() Fault { return Fault{send: exchange.hang} }

// HangInHeaders sends a status line and half a header.
func HangInHeaders() Fault {
	return Fault{send: func(x exchange) {
		x.hijacked([]byte("HTTP/1.1 200 OK\r\nContent-Type: appl"), true)
	}}
}

// HangAfter sends the headers and n bytes of the body.
func HangAfter(n int) Fault { return Fault{send: func(x exchange) { x.part(n); x.hang() }} }

// Drop closes the connection without a byte.
func Drop() Fault { return Fault{send: func(x exchange) { x.Cut() }} }

// CutAfter closes the connection after the headers and n bytes of the body.
func CutAfter(n int) Fault { return Fault{send: func(x exchange) { x.part(n); x.Cut() }} }

// Hold keeps the finished answer back until the gate gives one step.
func Hold(g *Gate) Fault {
	return Fault{send: func(x exchange) { x.wait(g); x.Put(x.Start(x.answer)) }}
}

// Drip sends the headers at once, and then chunk bytes of the body, at least 1,
// for each step of the gate.
func Drip(g *Gate, chunk int) Fault {
	return Fault{send: func(x exchange) {
		body := x.Start(x.answer)
		x.Flush()
		for piece := range slices.Chunk(body, max(chunk, 1)) {
			x.wait(g)
			x.Put(piece)
			x.Flush()
		}
	}}
}

// ShortBody ends the body after n bytes, cleanly: Content-Length agrees.
func ShortBody(n int) Fault {
	return Fault{change: func(a *sample.Answer) {
		a.Body = a.Body[:min(n, len(a.Body))]
		a.Length = len(a.Body)
	}}
}

// Empty is [ShortBody] of nothing.
func Empty() Fault { return ShortBody(0) }

// WrongLength announces delta bytes more than it sends, or fewer where delta is
// negative, but never less than none. It then closes the connection.
func WrongLength(delta int) Fault {
	return Fault{
		change: func(a *sample.Answer) { a.Length = max(len(a.Body)+delta, 0) },
		send:   func(x exchange) { x.hijacked(x.wire(), false) },
	}
}

// FlipByte inverts the byte at an offset of the body; a negative one counts
// from the end, -1 being the last byte.
func FlipByte(at int) Fault {
	return Fault{change: func(a *sample.Answer) {
		i := at
		if i < 0 {
			i += len(a.Body)
		}
		if i >= 0 && i < len(a.Body) {
			a.Body = slices.Clone(a.Body)
			a.Body[i] ^= 0xff
		}
	}}
}

// Set sets a header, or removes it where value is empty: "Cache-Control",
// "Set-Cookie", an absurd "Date".
func Set(name, value string) Fault {
	return Fault{change: func(a *sample.Answer) {
		if value == "" {
			a.Fields[http.CanonicalHeaderKey(name)] = nil // net/http adds none of its own then
		} else {
			a.Fields.Set(name, value)
		}
	}}
}

// HugeHeader adds a header with a value of n bytes.
func HugeHeader(n int) Fault { return Set("X-Huge", strings.Repeat("h", n)) }

// Replace answers 200 with a body, to any request, instead of carrying
// out the request.
func Replace(body []byte) Fault {
	return Fault{instead: func(*http.Request) *sample.Answer {
		return &sample.Answer{Status: http.StatusOK, Fields: http.Header{}, Body: body}
	}}
}

// Status answers with an error in the registry's form, instead of carrying out
// the request: HTML for 429, JSON otherwise. Add Retry-After with [Set].
func Status(code int) Fault {
	return Fault{instead: func(*http.Request) *sample.Answer {
		switch a := (&sample.Answer{Fields: http.Header{}}); code {
		case http.StatusTooManyRequests:
			page(a, code, "Too many requests")
			return a
		case http.StatusNotFound:
			refuse(a, code, "Not found")
			return a
		default:
			refuse(a, code, http.StatusText(code))
			return a
		}
	}}
}

// HTML answers 200 with a page for people, instead of carrying out the request.
func HTML() Fault {
	return Fault{instead: func(*http.Request) *sample.Answer {
		a := &sample.Answer{Fields: http.Header{}}
		page(a, http.StatusOK, "We will be back soon")
		return a
	}}
}

func page(a *sample.Answer, status int, text string) {
	a.Fields.Set("Content-Type", "text/html; charset=utf-8")
	a.Status = status
	a.Body = []byte("<!doctype html><title>" + text + "</title><h1>" + text + "</h1>\n")
}

// refuse makes an error in the registry's form.
func refuse(a *sample.Answer, status int, why string) {
	a.Fields.Set("Content-Type", "application/json")
	a.Status = status
	a.Body, _ = json.Marshal(map[string]string{"error": why}) // a text always can be
}

// NotModified answers 304, under any conditions of the request, instead of
// carrying it out.
func NotModified() Fault {
	return Fault{instead: func(*http.Request) *sample.Answer {
		return &sample.Answer{Status: http.StatusNotModified, Fields: http.Header{}}
	}}
}

// Redirect answers 302 to a location, instead of carrying out the request.
func Redirect(location string) Fault {
	return Fault{instead: func(*http.Request) *sample.Answer {
		return &sample.Answer{Status: http.StatusFound, Fields: http.Header{"Location": {location}}}
	}}
}

// RedirectLoop answers 302 to the request's own URL, instead of carrying it
// out.
func RedirectLoop() Fault {
	return Fault{instead: func(r *http.Request) *sample.Answer {
		return &sample.Answer{Status: http.StatusFound, Fields: http.Header{"Location": {r.URL.RequestURI()}}}
	}}
}

// BadGzip says gzip of bytes that are not.
func BadGzip() Fault {
	return Fault{change: func(a *sample.Answer) {
		a.Fields.Set("Content-Encoding", "gzip")
		a.Body = []byte("\x1f\x8b\x08\x00 this is not gzip")
		a.Length = len(a.Body)
	}}
}

// GzipBomb sends some kilobytes for each of its mebibytes: a gzip body of that
// many MiB of spaces.
func GzipBomb(mebibytes int) Fault {
	// Members of a gzip file follow one another, RFC 1952 section 2.2.
	bomb := bytes.Repeat(gzipped(bytes.Repeat([]byte(" "), 1<<20)), mebibytes)
	return Fault{change: func(a *sample.Answer) {
		a.Fields.Set("Content-Encoding", "gzip")
		a.Body, a.Length = bomb, len(bomb)
	}}
}

func gzipped(body []byte) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	zip.Write(body) // a Buffer never fails
	zip.Close()
	return out.Bytes()
}
