package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"time"
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

// log writes x's line. A path that holds a secret is written as its kind says.
func (l *AccessLog) log(x *exchange, site string, took time.Duration) {
	if l == nil {
		return
	}
	path := x.r.URL.EscapedPath()
	if x.route.Log != "" {
		path = x.route.Log
	}
	client := x.client.String()
	if x.client == (netip.Addr{}) {
		client = "-"
	}
	if l.json == nil {
		fmt.Fprintf(l.common, "%s - - [%s] %q %d %d\n", client, x.start.Format("02/Jan/2006:15:04:05 -0700"),
			x.r.Method+" "+path+" "+x.r.Proto, x.status, x.sent)
		return
	}
	attrs := []slog.Attr{
		slog.String("client", client), slog.String("method", x.r.Method), slog.String("path", path),
		slog.Int("status", x.status), slog.Int64("bytes", x.sent), slog.Float64("seconds", took.Seconds()),
		slog.String("outcome", x.outcome.String()), slog.String("site", site), slog.String("what", x.route.Endpoint),
		slog.String("agent", x.r.UserAgent()),
	}
	if x.err != nil {
		attrs = append(attrs, slog.String("error", x.err.Error()))
	}
	l.json.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
}
