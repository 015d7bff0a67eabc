package accesslog

import (
	"context"
	"io"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Log writes a line for each request. A nil Log writes none.
type Log struct {
	to     *Writer
	common bool
	clock  clock
	lines  sync.Pool // *[]byte
}

// NewJSON writes a JSON object for each request.
func NewJSON(to *Writer) *Log { return newLog(to, false) }

// NewCommon writes a line in the Common Log Format for each request, and behind it the
// outcome, the seconds, the request's id and the reason of a failure.
func NewCommon(to *Writer) *Log { return newLog(to, true) }

func newLog(to *Writer, common bool) *Log {
	l := &Log{to: to, common: common, clock: clock{layout: "2006-01-02T15:04:05", zone: "Z07:00"}}
	if common {
		l.clock.layout, l.clock.zone = "02/Jan/2006:15:04:05 -0700", ""
	}
	l.lines.New = func() any { return new([]byte) }
	return l
}

// Record is a request that has been answered.
type Record struct {
	Begun   time.Time
	Client  netip.Addr // the zero Addr where it is not known
	Site    string     // "" for a request that found none
	Outcome string     // its word
	Status  int
	Sent    int64         // bytes of the body
	Err     error         // of the answer, or the reason for a stale one; nil for none
	Waited  time.Duration // until the header was sent; written where a master was asked
	Source  Source

	// The rest may be empty where there is no log.
	Line  Line
	Known *Known // the text of Line, Site and Outcome, which are not read then; nil for none
	Agent []byte
	ID    string // that came with the request; "" to make one
	Trace string // the ID of the trace that the request is a part of, or ""
	TLS   string // the version of TLS, such as "1.3", or ""
}

// Source is the master that gave a response, and the status of its answer: 304 where it
// confirmed a stored response. It is empty where no master was asked.
type Source struct {
	Master string
	Status int
}

// Line is the request itself.
type Line struct{ Method, Host, Path, Query, Protocol, Endpoint string }

// Known is the part of a line that is the same for all requests with one answer.
type Known struct{ text []byte }

// Know makes the part of a line that the lines of all such requests have, so that it need not be
// made for each.
func (l *Log) Know(r *Record) *Known {
	known := appendRequest
	if l.common {
		known = appendTarget
	}
	return &Known{known(nil, r)}
}

// Write writes a request's line. It took that long.
func (l *Log) Write(r *Record, took time.Duration) {
	buf := l.lines.Get().(*[]byte)
	line := (*buf)[:0]
	if l.common { // and no function value, for which each record would be allocated
		line = l.appendCommon(line, r, took)
	} else {
		line = l.appendJSON(line, r, took)
	}
	*buf = append(line, '\n')
	_, _ = l.to.Write(*buf)
	if cap(*buf) <= 16<<10 {
		l.lines.Put(buf)
	}
}

// appendJSON appends the object of a request.
func (l *Log) appendJSON(b []byte, r *Record, took time.Duration) []byte {
	end := r.Begun.Add(took)
	is := l.clock.second(end)
	b = append(append(b, `{"time":"`...), is.text...)
	b = appendFraction(append(b, '.'), end.Nanosecond()/1000)
	b = append(append(b, is.zone...), `","level":"INFO","msg":"request","id":"`...)
	b = append(appendID(b, r.ID), '"')
	if r.Trace != "" {
		b = appendMember(b, "trace", r.Trace)
	}
	b = append(b, `,"client":"`...)
	b = append(appendClient(b, r.Client), '"')
	if r.Known != nil {
		b = append(b, r.Known.text...)
	} else {
		b = appendRequest(b, r)
	}
	if r.TLS != "" {
		b = appendMember(b, "tls", r.TLS)
	}
	b = strconv.AppendInt(append(b, `,"status":`...), int64(r.Status), 10)
	b = strconv.AppendInt(append(b, `,"bytes":`...), r.Sent, 10)
	b = appendSeconds(append(b, `,"seconds":`...), took)
	if r.Source.Master != "" {
		b = appendMember(b, "master", r.Source.Master)
		b = strconv.AppendInt(append(b, `,"origin_status":`...), int64(r.Source.Status), 10)
		b = appendSeconds(append(b, `,"first_byte":`...), r.Waited)
	}
	b = append(b, `,"agent":"`...)
	b = append(appendEscaped(b, r.Agent), '"')
	if r.Err != nil {
		b = appendMember(b, "error", r.Err.Error())
	}
	return append(b, '}')
}

// appendRequest appends the members that a Known has.
func appendRequest(b []byte, r *Record) []byte {
	b = appendMember(b, "method", r.Line.Method)
	b = appendMember(b, "host", r.Line.Host)
	b = appendMember(b, "path", r.Line.Path)
	if r.Line.Query != "" {
		b = appendMember(b, "query", r.Line.Query)
	}
	b = appendMember(b, "protocol", r.Line.Protocol)
	b = appendMember(b, "outcome", r.Outcome)
	b = appendMember(b, "site", r.Site)
	return appendMember(b, "what", r.Line.Endpoint)
}

// appendCommon appends the line of a request.
func (l *Log) appendCommon(b []byte, r *Record, took time.Duration) []byte {
	b = appendClient(b, r.Client)
	b = append(append(b, " - - ["...), l.clock.second(r.Begun).text...)
	b = append(b, "] "...)
	if r.Known != nil {
		b = append(b, r.Known.text...)
	} else {
		b = appendTarget(b, r)
	}
	b = strconv.AppendInt(append(b, ' '), int64(r.Status), 10)
	b = strconv.AppendInt(append(b, ' '), r.Sent, 10)
	b = append(append(b, ' '), r.Outcome...)
	b = appendSeconds(append(b, ' '), took)
	b = appendID(append(b, ' '), r.ID)
	if r.Err == nil {
		return append(b, ` "-"`...)
	}
	return append(appendEscaped(append(b, ` "`...), r.Err.Error()), '"')
}

// appendTarget appends the request line, as a Known has it.
func appendTarget(b []byte, r *Record) []byte {
	b = appendEscaped(append(b, '"'), r.Line.Method)
	b = appendEscaped(append(b, ' '), r.Line.Path)
	if r.Line.Query != "" {
		b = appendEscaped(append(b, '?'), r.Line.Query)
	}
	return append(appendEscaped(append(b, ' '), r.Line.Protocol), '"')
}

const hex = "0123456789abcdef"

// clock writes times. A busy edge writes thousands of lines in a second, of which it is
// formatted once.
type clock struct {
	layout, zone string
	last         atomic.Pointer[second]
}

// second is one second in a place.
type second struct {
	unix       int64
	in         *time.Location
	text, zone string
}

// second returns that of t.
func (c *clock) second(t time.Time) *second {
	unix, in := t.Unix(), t.Location()
	if s := c.last.Load(); s != nil && s.unix == unix && s.in == in {
		return s
	}
	s := &second{unix, in, t.Format(c.layout), t.Format(c.zone)}
	c.last.Store(s)
	return s
}

// appendFraction appends a number below a million with six digits.
func appendFraction(b []byte, micros int) []byte {
	n := len(b)
	b = append(b, "000000"...)
	for i := n + 5; micros > 0; micros, i = micros/10, i-1 {
		b[i] = byte('0' + micros%10)
	}
	return b
}

// appendSeconds appends a duration in seconds, to the microsecond, without zeros at its end.
func appendSeconds(b []byte, took time.Duration) []byte {
	micros := int64(took.Round(time.Microsecond) / time.Microsecond)
	if micros < 0 {
		b, micros = append(b, '-'), -micros
	}
	b = strconv.AppendInt(b, micros/1e6, 10)
	fraction := int(micros % 1e6)
	if fraction == 0 {
		return b
	}
	b = appendFraction(append(b, '.'), fraction)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

// appendID appends an ID, or makes one.
func appendID(b []byte, id string) []byte {
	if id != "" {
		return append(b, id...)
	}
	var made [16]byte
	for n, i := rand.Uint64(), 0; i < len(made); n, i = n>>4, i+1 {
		made[i] = hex[n&15]
	}
	return append(b, made[:]...)
}

func appendClient(b []byte, client netip.Addr) []byte {
	if !client.IsValid() {
		return append(b, '-')
	}
	return client.AppendTo(b)
}

// appendMember appends a member of a JSON object behind others.
func appendMember(b []byte, name, value string) []byte {
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(appendEscaped(b, value), '"')
}

// appendEscaped appends a text as it stands in a JSON string. Each byte that is not of UTF-8
// becomes U+FFFD.
func appendEscaped[text string | []byte](b []byte, t text) []byte {
	from := 0
	for i := 0; i < len(t); {
		c := t[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(string(t[i:min(len(t), i+utf8.UTFMax)])); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		b = append(b, t[from:i]...)
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= utf8.RuneSelf:
			b = append(b, `\ufffd`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(b, t[from:]...)
}

// maxPending bounds the bytes that wait for the writer behind a Writer. There are twice as
// many in memory while it writes.
const maxPending = 1 << 20

// A write takes a system call and wakes a reader, which costs as much as a hit. So lines are
// written together: after gather, or when there are gatherBytes.
const (
	gather      = 50 * time.Millisecond
	gatherBytes = 256 << 10
)

// Writer writes lines behind the requests that leave them, for the access logs of several
// snapshots at once. A full pipe stalls no client: lines for which there is no room are
// dropped, and counted. A goroutine writes while there is anything to write.
type Writer struct {
	to  io.Writer
	now chan struct{} // has one where the lines are to be written without waiting

	mu      sync.Mutex // not held while to is written to
	pending []byte
	spare   []byte        // the buffer that was written last
	idle    chan struct{} // closed when all is written; nil while nothing is
	dropped int64
}

// NewWriter writes to another writer.
func NewWriter(to io.Writer) *Writer { return &Writer{to: to, now: make(chan struct{}, 1)} }

// Write takes a line. It never waits, and never fails.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending)+len(line) > maxPending {
		w.dropped++
		return len(line), nil
	}
	w.pending = append(w.pending, line...)
	if w.idle == nil {
		w.idle = make(chan struct{})
		go w.write()
	}
	if len(w.pending) >= gatherBytes {
		w.hurry()
	}
	return len(line), nil
}

// hurry has the lines written without waiting for more.
func (w *Writer) hurry() {
	select {
	case w.now <- struct{}{}:
	default:
	}
}

// write writes until there is nothing left.
func (w *Writer) write() {
	for more := true; more; more = w.more() {
		wait := time.NewTimer(gather)
		select {
		case <-w.now:
		case <-wait.C:
		}
		wait.Stop()
		_, _ = w.to.Write(w.take()) // there is no other place to tell of a failure
	}
}

// take returns the pending lines.
func (w *Writer) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.pending
	w.pending, w.spare = w.spare[:0], lines
	return lines
}

// more reports whether lines have come meanwhile. When there are none, the writer ends.
func (w *Writer) more() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) > 0 {
		return true
	}
	close(w.idle)
	w.idle = nil
	return false
}

// Flush waits until all lines are written, or ctx is done.
func (w *Writer) Flush(ctx context.Context) {
	w.mu.Lock()
	idle := w.idle
	w.mu.Unlock()
	if idle == nil {
		return
	}
	w.hurry()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// Dropped is how many lines were dropped.
func (w *Writer) Dropped() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}
