package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"pkgedge/cache"
	"pkgedge/origin/kind"
)

// LogWriter is for the access logs of several snapshots at once: it takes one line
// at a time.
type LogWriter struct {
	mu sync.Mutex
	to io.Writer
}

// NewLogWriter writes to another writer.
func NewLogWriter(to io.Writer) *LogWriter { return &LogWriter{to: to} }

func (w *LogWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(line)
}

// AccessLog writes a line for each request. A nil AccessLog writes none.
type AccessLog struct {
	json   *slog.Logger // nil for the common form
	common *LogWriter
}

// NewJSONLog writes a JSON object for each request.
func NewJSONLog(to *LogWriter) *AccessLog {
	return &AccessLog{json: slog.New(slog.NewJSONHandler(to, nil))}
}

// NewCommonLog writes a line in the Common Log Format for each request.
func NewCommonLog(to *LogWriter) *AccessLog { return &AccessLog{common: to} }

// record is a request that has been answered.
type record struct {
	begun   time.Time
	client  netip.Addr
	site    string // "" for a request that found none
	outcome cache.Outcome
	status  int
	sent    int64 // bytes of the body
	err     error

	line // for the access log alone, empty where there is none
}

// line is the part of a record that only the access log needs.
type line struct{ method, path, proto, endpoint, agent string }

// logPath is the path of a request as the access log has it. One that holds a secret is
// written as its kind says.
func logPath(r *http.Request, route *kind.Route) string {
	if route.Log != "" {
		return route.Log
	}
	return r.URL.EscapedPath()
}

// finish counts a request and writes it down: one that net/http has read, or the lane.
func (s *Snapshot) finish(r *record) {
	took := time.Since(r.begun)
	s.Metrics.Observe(r.site, r.outcome.String(), r.status, r.sent, took)
	if s.Access != nil {
		s.Access.log(r, took)
	}
	s.Metrics.End()
}

// log writes a request's line.
func (l *AccessLog) log(r *record, took time.Duration) {
	client := r.client.String()
	if r.client == (netip.Addr{}) {
		client = "-"
	}
	if l.json == nil {
		fmt.Fprintf(l.common, "%s - - [%s] %q %d %d\n", client, r.begun.Format("02/Jan/2006:15:04:05 -0700"),
			r.method+" "+r.path+" "+r.proto, r.status, r.sent)
		return
	}
	attrs := []slog.Attr{
		slog.String("client", client), slog.String("method", r.method), slog.String("path", r.path),
		slog.Int("status", r.status), slog.Int64("bytes", r.sent), slog.Float64("seconds", took.Seconds()),
		slog.String("outcome", r.outcome.String()), slog.String("site", r.site), slog.String("what", r.endpoint),
		slog.String("agent", r.agent),
	}
	if r.err != nil {
		attrs = append(attrs, slog.String("error", r.err.Error()))
	}
	l.json.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
}
