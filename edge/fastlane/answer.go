package fastlane

import (
	"bytes"
	"maps"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"pkgedge/edge/framing"
)

// Figures are the parts of an answer that differ with the moment. They are told in whole
// seconds.
type Figures struct {
	Age, TTL time.Duration
	Life     time.Duration // max-age of Cache-Control; NoLife where that is not the edge's
}

// NoLife is a Life that is not told.
const NoLife time.Duration = -1

// Lookup is the slow path's side of an answer. The lane calls it for each request that it
// is about to answer. It is safe for concurrent use.
type Lookup interface {
	// Find returns the body and the figures of the answer that the slow path would give at
	// now, from a fresh stored response. The body is to be closed. ok is false where that may
	// be another answer.
	Find(now time.Time) (body framing.Body, f Figures, ok bool)
	// Begin counts and charges a request, and tells its client. ok is false, and nothing
	// counted, where the client has spent its budget.
	Begin(r *Request, now time.Time) (client netip.Addr, ok bool)
	// End writes down how a request was answered that Begin has counted.
	End(r *Request, client netip.Addr, begun time.Time, status int, sent int64, err error)
}

// Offer is an answer of the slow path to be repeated.
type Offer struct {
	Key     string // see KeyOf
	Header  http.Header
	Figures Figures // as they are in Header
	// Steered says that requests with Cache-Control have a say in the answer.
	Steered bool
	Lookup  Lookup
}

// answer is an Offer that was taken. It is immutable.
type answer struct {
	hash    uint64
	key     string
	etag    string
	steered bool
	lookup  Lookup
	whole   head // 200
	same    head // 304
}

// head is the head of an answer with gaps for the figures.
type head struct {
	text string
	gaps []gap
}

// gap is a place in a head for a figure.
type gap struct {
	at     int
	figure figure
}

type figure byte

// The figures, as the control characters that stand for them while a head is made.
const (
	age figure = iota + 1
	ttl
	life
	date
)

// newAnswer makes the heads of an offer. It is nil where the figures are not found in their
// places, or the header has something that no head may have.
func newAnswer(o *Offer) *answer {
	for _, values := range o.Header {
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return nil
			}
		}
	}
	h := maps.Clone(o.Header)
	if len(h["Age"]) != 1 || h["Age"][0] != seconds(o.Figures.Age) {
		return nil
	}
	h["Age"] = []string{mark(age)}
	ok := mend(h, "Cache-Status", "; ttl=", o.Figures.TTL, ttl)
	if o.Figures.Life != NoLife {
		ok = mend(h, "Cache-Control", "max-age=", o.Figures.Life, life) && ok
	}
	if !ok {
		return nil
	}
	a := &answer{key: o.Key, steered: o.Steered, lookup: o.Lookup, etag: h.Get("Etag")}
	a.whole = newHead(http.StatusOK, h)
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Content-Type"} {
		delete(h, name)
	}
	a.same = newHead(http.StatusNotModified, h)
	return a
}

// mend puts a mark in the place of a figure behind a word, in a field's last line.
func mend(h http.Header, name, word string, told time.Duration, f figure) bool {
	lines := h[name]
	if len(lines) == 0 {
		return false
	}
	last := lines[len(lines)-1]
	before, after, ok := strings.Cut(last, word+seconds(told))
	if !ok || after != "" && '0' <= after[0] && after[0] <= '9' {
		return false
	}
	lines = append([]string(nil), lines...)
	lines[len(lines)-1] = before + word + mark(f) + after
	h[name] = lines
	return true
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

func mark(f figure) string { return string([]byte{byte(f)}) }

// newHead writes a head as net/http does: the fields in order, and Date behind them where
// the handler has set none.
func newHead(status int, h http.Header) head {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	_ = h.Write(&b) // a Buffer takes all
	if _, ok := h["Date"]; !ok {
		b.WriteString("Date: " + mark(date) + "\r\n")
	}
	b.WriteString("\r\n")
	var made head
	text := make([]byte, 0, b.Len())
	for _, c := range b.Bytes() {
		if f := figure(c); age <= f && f <= date {
			made.gaps = append(made.gaps, gap{len(text), f})
			continue
		}
		text = append(text, c)
	}
	made.text = string(text)
	return made
}

// append appends the head with the figures of now.
func (h *head) append(b []byte, now time.Time, f *Figures) []byte {
	from := 0
	for _, g := range h.gaps {
		b = append(b, h.text[from:g.at]...)
		from = g.at
		switch g.figure {
		case age:
			b = strconv.AppendInt(b, int64(f.Age/time.Second), 10)
		case ttl:
			b = strconv.AppendInt(b, int64(f.TTL/time.Second), 10)
		case life:
			b = strconv.AppendInt(b, int64(f.Life/time.Second), 10)
		case date:
			b = now.UTC().AppendFormat(b, http.TimeFormat)
		}
	}
	return append(b, h.text[from:]...)
}

// status chooses the answer to a request: 200, 304, or 0 where only the slow path can.
func (a *answer) status(r *Request) int {
	switch {
	case a.steered && r.steers:
		return 0
	case r.ifNoneMatch == nil && !r.dated:
		return http.StatusOK
	case a.etag != "" && string(r.ifNoneMatch) == a.etag:
		return http.StatusNotModified
	}
	return 0
}

// send sends an answer, and returns how much of its body was sent.
func (w *work) send(c *framing.Conn, h *head, body *framing.Body, now time.Time, f *Figures) (int64, error) {
	w.out = h.append(w.out[:0], now, f)
	size := int64(len(w.out))
	var n int64
	var err error
	if body.File == nil && len(body.Bytes) <= copied && !c.Secure() {
		w.out = append(w.out, body.Bytes...)
		n, err = c.Send(now, w.out, framing.Body{})
	} else {
		n, err = c.Send(now, w.out, *body)
	}
	return max(0, n-size), err
}
