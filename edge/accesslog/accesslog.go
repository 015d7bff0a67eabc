package accesslog

import (
	"context"
	"io"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// Log writes a line for each request. A nil Log writes none.
type Log struct {
	to     *Writer
	common bool
	lines  sync.Pool // *[]byte
}

// NewJSON writes a JSON object for each request.
func NewJSON(to *Writer) *Log { return newLog(to) }

// NewCommon writes a line in the Common Log Format for each request, and behind it the
// outcome, the seconds, the request's id and the reason of a failure.
func NewCommon(to *Writer) *Log {
	l := newLog(to)
	l.common = true
	return l
}

func newLog(to *Writer) *Log {
	l := &Log{to: to}
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

	Line // empty where there is no log
}

// Source is the master that gave a response, and the status of its answer: 304 where it
// confirmed a stored response. It is empty where no master was asked.
type Source struct {
	Master string
	Status int
}

// Line is the request itself.
type Line struct {
	Method, Host, Path, Query, Protocol, Endpoint string

	Agent string
	ID    string // that came with the request; "" to make one
	Trace string // the ID of the trace that the request is a part of, or ""
	TLS   string // the version of TLS, such as "1.3", or ""
}

// Write writes a request's line. It took that long.
func (l *Log) Write(r *Record, took time.Duration) {
	buf := l.lines.Get().(*[]byte)
	line := (*buf)[:0]
	if l.common { // and no function value, for which each record would be allocated
		line = appendCommon(line, r, took)
	} else {
		line = appendJSON(line, r, took)
	}
	*buf = append(line, '\n')
	_, _ = l.to.Write(*buf)
	if cap(*buf) <= 16<<10 {
		l.lines.Put(buf)
	}
}

// appendJSON appends the object of a request.
func appendJSON(b []byte, r *Record, took time.Duration) []byte {
	text := func(name, value string) {
		b = append(append(append(b, `,"`...), name...), `":`...)
		b = appendQuoted(b, value)
	}
	b = append(b, `{"time":"`...)
	b = r.Begun.Add(took).AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"INFO","msg":"request","id":"`...)
	b = append(appendID(b, r.ID), '"')
	if r.Trace != "" {
		text("trace", r.Trace)
	}
	b = append(b, `,"client":"`...)
	b = append(appendClient(b, r.Client), '"')
	text("method", r.Method)
	text("host", r.Host)
	text("path", r.Path)
	if r.Query != "" {
		text("query", r.Query)
	}
	text("protocol", r.Protocol)
	if r.TLS != "" {
		text("tls", r.TLS)
	}
	b = strconv.AppendInt(append(b, `,"status":`...), int64(r.Status), 10)
	b = strconv.AppendInt(append(b, `,"bytes":`...), r.Sent, 10)
	b = appendSeconds(append(b, `,"seconds":`...), took)
	text("outcome", r.Outcome)
	text("site", r.Site)
	text("what", r.Endpoint)
	if r.Source.Master != "" {
		text("master", r.Source.Master)
		b = strconv.AppendInt(append(b, `,"origin_status":`...), int64(r.Source.Status), 10)
		b = appendSeconds(append(b, `,"first_byte":`...), r.Waited)
	}
	text("agent", r.Agent)
	if r.Err != nil {
		text("error", r.Err.Error())
	}
	return append(b, '}')
}

// appendCommon appends the line of a request.
func appendCommon(b []byte, r *Record, took time.Duration) []byte {
	b = appendClient(b, r.Client)
	b = append(b, " - - ["...)
	b = r.Begun.AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, `] `...)
	target := r.Path
	if r.Query != "" {
		target += "?" + r.Query
	}
	b = appendQuoted(b, r.Method+" "+target+" "+r.Protocol)
	b = strconv.AppendInt(append(b, ' '), int64(r.Status), 10)
	b = strconv.AppendInt(append(b, ' '), r.Sent, 10)
	b = append(append(b, ' '), r.Outcome...)
	b = appendSeconds(append(b, ' '), took)
	b = appendID(append(b, ' '), r.ID)
	if r.Err == nil {
		return append(b, ` "-"`...)
	}
	return appendQuoted(append(b, ' '), r.Err.Error())
}

// appendID appends an ID, or makes one.
func appendID(b []byte, id string) []byte {
	if id != "" {
		return append(b, id...)
	}
	const hex = "0123456789abcdef"
	for n, i := rand.Uint64(), 0; i < 16; i++ {
		b = append(b, hex[n&15])
		n >>= 4
	}
	return b
}

func appendClient(b []byte, client netip.Addr) []byte {
	if !client.IsValid() {
		return append(b, '-')
	}
	return client.AppendTo(b)
}

// appendSeconds appends a duration in seconds, to the microsecond.
func appendSeconds(b []byte, took time.Duration) []byte {
	return strconv.AppendFloat(b, took.Round(time.Microsecond).Seconds(), 'f', -1, 64)
}

// appendQuoted appends a text as a JSON string. Each byte that is not of UTF-8 becomes
// U+FFFD.
func appendQuoted(b []byte, text string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(text[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		b = append(b, text[from:i]...)
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
	return append(append(b, text[from:]...), '"')
}

// maxPending bounds the bytes that wait for the writer behind a Writer. There are twice as
// many in memory while it writes.
const maxPending = 1 << 20

// A write takes a system call and wakes a reader, which costs as much as a hit. So lines are
// written together: after gather, or when there are gatherBytes.
const (
	gather      = 50 * time.Millisecond
	gatherBytes = 64 << 10
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
