package proxy

import (
	"cmp"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"pkgedge/cache"
	"pkgedge/origin/kind"
)

// AccessLog writes a line for each request. A nil AccessLog writes none.
type AccessLog struct {
	to     *LogWriter
	common bool
	lines  sync.Pool // *[]byte
}

// NewJSONLog writes a JSON object for each request.
func NewJSONLog(to *LogWriter) *AccessLog { return newAccessLog(to) }

// NewCommonLog writes a line in the Common Log Format for each request, and behind it the
// outcome, the seconds, the request's id and the reason of a failure.
func NewCommonLog(to *LogWriter) *AccessLog {
	l := newAccessLog(to)
	l.common = true
	return l
}

func newAccessLog(to *LogWriter) *AccessLog {
	l := &AccessLog{to: to}
	l.lines.New = func() any { return new([]byte) }
	return l
}

// record is a request that has been answered.
type record struct {
	begun   time.Time
	client  netip.Addr
	site    string // "" for a request that found none
	name    string // of the package or the file; "" for a request of another kind
	outcome cache.Outcome
	status  int
	sent    int64 // bytes of the body
	err     error
	waited  time.Duration // until the header was sent; written where a master was asked
	source  source

	line // for the access log alone, empty where there is none
}

// source is the master that gave a response, and the status of its answer: 304 where it
// confirmed a stored response. It is empty where no master was asked.
type source struct {
	master string
	status int
}

// line is the part of a record that only the access log needs.
type line struct {
	method, host, path, query, proto, endpoint string

	agent string
	id    string // that came with the request; "" to make one
}

// lineOf is a request's line. A path that holds a secret is written as its kind says, without
// the query. Nor is that of a request for the primary alone: it may be the key to a login.
func lineOf(r *http.Request, route *kind.Route) line {
	l := line{method: r.Method, host: r.Host, path: r.URL.EscapedPath(), query: r.URL.RawQuery, proto: r.Proto, endpoint: route.Endpoint}
	if route.Log != "" {
		l.path = route.Log
	}
	if route.Log != "" || route.Class == kind.PassPrimary {
		l.query = ""
	}
	return l
}

// nameOf is the name of the package or file that a route is about, "" for other routes.
func nameOf(r *kind.Route) string {
	if r.Class != kind.Metadata && r.Class != kind.File {
		return ""
	}
	return cmp.Or(r.Group, r.Path)
}

// requestID is the ID of a request, where it is one: of another hop, in a log of ours.
func requestID[text string | []byte](sent text) string {
	if len(sent) == 0 || len(sent) > 128 {
		return ""
	}
	for i := range len(sent) {
		if c := sent[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return ""
		}
	}
	return string(sent)
}

// finish counts a request and writes it down: one that net/http has read, or the lane.
func (s *Snapshot) finish(r *record) {
	took := time.Since(r.begun)
	s.Metrics.Observe(r.site, r.outcome.String(), r.status, r.sent, took)
	if r.name != "" {
		s.Asked.Count(r.site, r.name, r.begun.Add(took))
		if r.outcome == cache.Missed || r.outcome == cache.Failed {
			s.Missed.Count(r.site, r.name, r.begun.Add(took))
		}
	}
	if s.Access != nil {
		s.Access.log(r, took)
	}
	s.Metrics.End()
}

// log writes a request's line.
func (l *AccessLog) log(r *record, took time.Duration) {
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
func appendJSON(b []byte, r *record, took time.Duration) []byte {
	text := func(name, value string) {
		b = append(append(append(b, `,"`...), name...), `":`...)
		b = appendQuoted(b, value)
	}
	b = append(b, `{"time":"`...)
	b = r.begun.Add(took).AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"INFO","msg":"request","id":"`...)
	b = appendID(b, r.id)
	b = append(b, `","client":"`...)
	b = append(appendClient(b, r.client), '"')
	text("method", r.method)
	text("host", r.host)
	text("path", r.path)
	if r.query != "" {
		text("query", r.query)
	}
	text("protocol", r.proto)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(r.status), 10)
	b = strconv.AppendInt(append(b, `,"bytes":`...), r.sent, 10)
	b = appendSeconds(append(b, `,"seconds":`...), took)
	text("outcome", r.outcome.String())
	text("site", r.site)
	text("what", r.endpoint)
	if r.source.master != "" {
		text("master", r.source.master)
		b = strconv.AppendInt(append(b, `,"origin_status":`...), int64(r.source.status), 10)
		b = appendSeconds(append(b, `,"first_byte":`...), r.waited)
	}
	text("agent", r.agent)
	if r.err != nil {
		text("error", r.err.Error())
	}
	return append(b, '}')
}

// appendCommon appends the line of a request.
func appendCommon(b []byte, r *record, took time.Duration) []byte {
	b = appendClient(b, r.client)
	b = append(b, " - - ["...)
	b = r.begun.AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, `] `...)
	target := r.path
	if r.query != "" {
		target += "?" + r.query
	}
	b = appendQuoted(b, r.method+" "+target+" "+r.proto)
	b = strconv.AppendInt(append(b, ' '), int64(r.status), 10)
	b = strconv.AppendInt(append(b, ' '), r.sent, 10)
	b = append(append(b, ' '), r.outcome.String()...)
	b = appendSeconds(append(b, ' '), took)
	b = appendID(append(b, ' '), r.id)
	if r.err == nil {
		return append(b, ` "-"`...)
	}
	return appendQuoted(append(b, ' '), r.err.Error())
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

// maxPending bounds the bytes that wait for the writer behind a LogWriter. There are twice as
// many in memory while it writes.
const maxPending = 1 << 20

// A write takes a system call and wakes a reader, which costs as much as a hit. So lines are
// written together: after gather, or when there are gatherBytes.
const (
	gather      = 50 * time.Millisecond
	gatherBytes = 64 << 10
)

// LogWriter writes lines behind the requests that leave them, for the access logs of several
// snapshots at once. A full pipe stalls no client: lines for which there is no room are
// dropped, and counted. A goroutine writes while there is anything to write.
type LogWriter struct {
	to  io.Writer
	now chan struct{} // has one where the lines are to be written without waiting

	mu      sync.Mutex // not held while to is written to
	pending []byte
	spare   []byte        // the buffer that was written last
	idle    chan struct{} // closed when all is written; nil while nothing is
	dropped int64
}

// NewLogWriter writes to another writer.
func NewLogWriter(to io.Writer) *LogWriter { return &LogWriter{to: to, now: make(chan struct{}, 1)} }

// Write takes a line. It never waits, and never fails.
func (w *LogWriter) Write(line []byte) (int, error) {
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
func (w *LogWriter) hurry() {
	select {
	case w.now <- struct{}{}:
	default:
	}
}

// write writes until there is nothing left.
func (w *LogWriter) write() {
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
func (w *LogWriter) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.pending
	w.pending, w.spare = w.spare[:0], lines
	return lines
}

// more reports whether lines have come meanwhile. When there are none, the writer ends.
func (w *LogWriter) more() bool {
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
func (w *LogWriter) Flush(ctx context.Context) {
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
func (w *LogWriter) Dropped() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}
