package sample

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Fault is one way of going wrong. Several together apply in their order: the
// first that answers instead of the registry does so, every change is made, and
// the last that says how the answer leaves is obeyed. A fault of a body does
// nothing to an answer without one, but the connection is cut all the same.
type Fault struct {
	instead func(r *http.Request) *answer // the request is not carried out
	change  func(a *answer)
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
func Drop() Fault { return Fault{send: exchange.cut} }

// CutAfter closes the connection after the headers and n bytes of the body.
func CutAfter(n int) Fault { return Fault{send: func(x exchange) { x.part(n); x.cut() }} }

// Hold keeps the finished answer back until the gate gives one step.
func Hold(g *Gate) Fault {
	return Fault{send: func(x exchange) { x.wait(g); x.finish() }}
}

// Drip sends the headers at once, and then chunk bytes of the body, at least 1,
// for each step of the gate.
func Drip(g *Gate, chunk int) Fault {
	return Fault{send: func(x exchange) {
		body := x.start()
		x.flush()
		for piece := range slices.Chunk(body, max(chunk, 1)) {
			x.wait(g)
			x.put(piece)
			x.flush()
		}
	}}
}

// ShortBody ends the body after n bytes, cleanly: Content-Length agrees.
func ShortBody(n int) Fault {
	return Fault{change: func(a *answer) {
		a.body = a.body[:min(n, len(a.body))]
		a.length = len(a.body)
	}}
}

// Empty is [ShortBody] of nothing.
func Empty() Fault { return ShortBody(0) }

// WrongLength announces delta bytes more than it sends, or fewer where delta is
// negative, but never less than none. It then closes the connection.
func WrongLength(delta int) Fault {
	return Fault{
		change: func(a *answer) { a.length = max(len(a.body)+delta, 0) },
		send:   func(x exchange) { x.hijacked(x.wire(), false) },
	}
}

// FlipByte inverts the byte at an offset of the body; a negative one counts
// from the end, -1 being the last byte.
func FlipByte(at int) Fault {
	return Fault{change: func(a *answer) {
		i := at
		if i < 0 {
			i += len(a.body)
		}
		if i >= 0 && i < len(a.body) {
			a.body = slices.Clone(a.body)
			a.body[i] ^= 0xff
		}
	}}
}

// Set sets a header, or removes it where value is empty: "Cache-Control",
// "Set-Cookie", an absurd "Date".
func Set(name, value string) Fault {
	return Fault{change: func(a *answer) {
		if value == "" {
			a.header[http.CanonicalHeaderKey(name)] = nil // net/http adds none of its own then
		} else {
			a.header.Set(name, value)
		}
	}}
}

// HugeHeader adds a header with a value of n bytes.
func HugeHeader(n int) Fault { return Set("X-Huge", strings.Repeat("h", n)) }

// Replace answers 200 with a body, whatever was asked for, instead of carrying
// out the request.
func Replace(body []byte) Fault {
	return Fault{instead: func(*http.Request) *answer {
		return &answer{status: http.StatusOK, header: http.Header{}, body: body}
	}}
}

// Status answers with an error in the registry's form, instead of carrying out
// the request: HTML for 429, JSON otherwise. Add Retry-After with [Set].
func Status(code int) Fault {
	return Fault{instead: func(*http.Request) *answer {
		switch a := (&answer{header: http.Header{}}); code {
		case http.StatusTooManyRequests:
			a.page(code, "Too many requests")
			return a
		case http.StatusNotFound:
			missing(a)
			return a
		default:
			refuse(a, code, http.StatusText(code))
			return a
		}
	}}
}

// HTML answers 200 with a page for people, instead of carrying out the request.
func HTML() Fault {
	return Fault{instead: func(*http.Request) *answer {
		a := &answer{header: http.Header{}}
		a.page(http.StatusOK, "We will be back soon")
		return a
	}}
}

func (a *answer) page(status int, text string) {
	a.header.Set("Content-Type", "text/html; charset=utf-8")
	a.status = status
	a.body = []byte("<!doctype html><title>" + text + "</title><h1>" + text + "</h1>\n")
}

// NotModified answers 304, whatever the request's conditions, instead of
// carrying it out.
func NotModified() Fault {
	return Fault{instead: func(*http.Request) *answer {
		return &answer{status: http.StatusNotModified, header: http.Header{}}
	}}
}

// Redirect answers 302 to a location, instead of carrying out the request.
func Redirect(location string) Fault {
	return Fault{instead: func(*http.Request) *answer {
		return &answer{status: http.StatusFound, header: http.Header{"Location": {location}}}
	}}
}

// RedirectLoop answers 302 to the request's own URL, instead of carrying it
// out.
func RedirectLoop() Fault {
	return Fault{instead: func(r *http.Request) *answer {
		return &answer{status: http.StatusFound, header: http.Header{"Location": {r.URL.RequestURI()}}}
	}}
}

// BadGzip says gzip of bytes that are not.
func BadGzip() Fault {
	return Fault{change: func(a *answer) {
		a.header.Set("Content-Encoding", "gzip")
		a.body = []byte("\x1f\x8b\x08\x00 this is not gzip")
		a.length = len(a.body)
	}}
}

// GzipBomb sends some kilobytes for each of its mebibytes: a gzip body of that
// many MiB of spaces.
func GzipBomb(mebibytes int) Fault {
	// Members of a gzip file follow one another, RFC 1952 section 2.2.
	bomb := bytes.Repeat(compressed(bytes.Repeat([]byte(" "), 1<<20)), mebibytes)
	return Fault{change: func(a *answer) {
		a.header.Set("Content-Encoding", "gzip")
		a.body, a.length = bomb, len(bomb)
	}}
}

// part sends the headers and at most n bytes of the body.
func (x exchange) part(n int) {
	body := x.start()
	x.put(body[:min(n, len(body))])
	x.flush()
}

// wait waits for one step of the gate.
func (x exchange) wait(g *Gate) {
	if g.pass(x.r.Context()) != nil {
		x.cut()
	}
}

// Rule is faults in force at a master, for the requests that match.
type Rule struct {
	rules  *rules
	match  Match
	faults []Fault
	left   int // requests to go; negative is without end
	hits   int
}

// rules are those in force, oldest first.
type rules struct {
	mu  sync.Mutex
	all []*Rule
}

// Break applies faults to every matching request, until [Rule.Mend]. Of the
// rules that match a request the oldest one applies, alone.
func (m *Master) Break(match Match, faults ...Fault) *Rule {
	return m.BreakNext(-1, match, faults...)
}

// BreakNext applies faults to the next n matching requests; rules put one after
// the other make a sequence.
func (m *Master) BreakNext(n int, match Match, faults ...Fault) *Rule {
	r := &Rule{rules: &m.faults, match: match, faults: faults, left: n}
	m.faults.mu.Lock()
	defer m.faults.mu.Unlock()
	m.faults.all = append(m.faults.all, r)
	return r
}

// Mend ends the rule for requests to come. Those under way keep their fault.
func (r *Rule) Mend() {
	r.rules.mu.Lock()
	defer r.rules.mu.Unlock()
	r.rules.all = slices.DeleteFunc(r.rules.all, func(other *Rule) bool { return other == r })
}

// Hits is the number of requests the rule has met.
func (r *Rule) Hits() int {
	r.rules.mu.Lock()
	defer r.rules.mu.Unlock()
	return r.hits
}

// Mend ends every rule of the master.
func (m *Master) Mend() {
	m.faults.mu.Lock()
	defer m.faults.mu.Unlock()
	m.faults.all = nil
}

// take finds the faults of a request and counts it against their rule.
func (rs *rules) take(rec Record) []Fault {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for i, r := range rs.all {
		if r.left == 0 || !r.match(rec) {
			continue
		}
		r.hits++
		if r.left--; r.left == 0 {
			rs.all = slices.Delete(rs.all, i, i+1)
		}
		return r.faults
	}
	return nil
}
