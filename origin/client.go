package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pkgedge/origin/kind"
)

// newTransport speaks HTTP/1.1 only: over HTTP/2 all of a site's tarballs would
// share one connection's flow-control window, and one slow reader of ours would
// hold up the rest.
func newTransport(t Timeouts) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: t.Connect, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    t.Connect,
		ResponseHeaderTimeout:  t.FirstByte,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConnsPerHost:    128,
		MaxConnsPerHost:        512,
		IdleConnTimeout:        60 * time.Second, // below the usual server's 75 s, so that we close first
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // we ask for codings, and undo them, ourselves
		WriteBufferSize:        64 << 10,
		ReadBufferSize:         64 << 10,
		Protocols:              &protocols,
	}
}

// ownField lists the fields of a fetch that are the edge's own.
func ownField(name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "User-Agent", "Via", "Cdn-Loop", "If-None-Match", "If-Modified-Since", "Range", "If-Range":
		return true
	}
	return false
}

// sameOrigin compares scheme, host and port (RFC 9110 section 4.3.1).
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	switch port := u.Port(); {
	case port != "":
		return port
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// Plain says that the client's request goes forward as it is and the response
// comes back as it is: the files kind, whose policy is the origin's.
func (a *Ask) Plain() bool { return a.Route.Transparent }

// request builds what a master is asked.
func (p *pool) request(ctx context.Context, m *master, a Ask) (*http.Request, error) {
	method := http.MethodGet
	if a.Head {
		method = http.MethodHead
	}
	if a.Interim != nil {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
				if status != http.StatusContinue && status != http.StatusSwitchingProtocols {
					a.Interim(status, http.Header(h))
				}
				return nil
			},
		})
	}
	req, err := http.NewRequestWithContext(ctx, method, m.url(a.Route.Path), nil)
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s: %w", m.name, err)
	}
	hop := connectionFields(a.Header)
	for name, values := range a.Header {
		if forwarded(name) && !slices.Contains(hop, name) {
			req.Header[name] = values
		}
	}
	switch {
	case a.Plain():
	case a.Route.Class == kind.Metadata:
		// Always the full document: the edge makes the abbreviated one, and a
		// master that cannot make it would be asked twice.
		req.Header.Set("Accept", "application/json")
		req.Header.Set("Accept-Encoding", "gzip")
	default:
		req.Header.Set("Accept", "*/*")
		req.Header.Set("Accept-Encoding", "identity")
	}
	if a.ETag != "" {
		req.Header.Set("If-None-Match", a.ETag)
	}
	if a.LastModified != "" {
		req.Header.Set("If-Modified-Since", a.LastModified)
	}
	if a.Range != "" {
		req.Header.Set("Range", a.Range)
	}
	if a.IfRange != "" {
		req.Header.Set("If-Range", a.IfRange)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "pkgedge")
	}
	p.Identify(req.Header)
	p.authorize(req.Header)
	return req, nil
}

// authorize presents the edge's own credential, where it has one.
func (p *pool) authorize(h http.Header) {
	if p.credential != "" {
		h["Authorization"] = []string{p.credential}
	}
}

// Identify adds this edge to Via (RFC 9110 section 7.6.3) and CDN-Loop (RFC
// 8586).
func (p *pool) Identify(h http.Header) {
	h["Via"] = append(h["Via"][:len(h["Via"]):len(h["Via"])], "1.1 "+p.identity)
	h["Cdn-Loop"] = append(h["Cdn-Loop"][:len(h["Cdn-Loop"]):len(h["Cdn-Loop"])], p.identity)
}

// connectionFields lists the fields that the sender's Connection names: they
// concern that connection alone (RFC 9110 section 7.6.1).
func connectionFields(h http.Header) []string {
	var named []string
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			named = append(named, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	return named
}

// forwarded says whether a field of the client's request goes to a master with
// a fetch. Conditions and ranges are the edge's own, and what concerns the
// client's connection ends here.
func forwarded(name string) bool {
	switch name {
	case "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range",
		"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Expect", "Content-Length", "Host", "Max-Forwards",
		"Cookie", // a response made for a cookie's owner has no place in a shared cache
		// Nor has one with the URLs that a stranger made the master write.
		"Forwarded", "X-Host", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override":
		return false
	}
	return !strings.HasPrefix(name, "X-Forwarded-")
}

// idleBody ends a body whose next bytes do not come within the idle time, or
// which drips: less than leastRate in all the waits that make up that time.
type idleBody struct {
	io.ReadCloser
	idle  time.Duration
	timer *time.Timer

	waited time.Duration // since the rate was last looked at
	got    int64         // bytes in that time
}

var (
	errIdle = fmt.Errorf("body stalled: %w", os.ErrDeadlineExceeded)
	errDrip = fmt.Errorf("body drips: %w", os.ErrDeadlineExceeded)
)

// leastRate is how many bytes a second a master must manage while we wait for
// it.
const leastRate = 256

func newIdleBody(body io.ReadCloser, idle time.Duration, cancel context.CancelCauseFunc) io.ReadCloser {
	if idle <= 0 {
		return body
	}
	timer := time.AfterFunc(idle, func() { cancel(errIdle) })
	timer.Stop()
	return &idleBody{ReadCloser: body, idle: idle, timer: timer}
}

// Read counts only the time that the master lets us wait: the timer stands
// while we wait for something else, and while our own writers are slow.
func (b *idleBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.idle)
	begun := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	b.got += int64(n)
	if b.waited += time.Since(begun); b.waited >= b.idle && err == nil {
		if b.got < int64(leastRate*b.waited.Seconds()) {
			return n, errDrip
		}
		b.waited, b.got = 0, 0
	}
	return n, err
}

func (b *idleBody) Close() error {
	b.timer.Stop()
	return b.ReadCloser.Close()
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// reason puts an error into one of a few words, for metrics.
func reason(err error) string {
	var status *statusError
	switch {
	case errors.As(err, &status):
		return strconv.Itoa(status.status)
	case errors.Is(err, errIdle):
		return "stalled"
	case errors.Is(err, errDrip):
		return "drip"
	case isTimeout(err):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "cut"
	case errors.Is(err, errRedirects):
		return "redirects"
	case errors.Is(err, errPrivate):
		return "private"
	case err != nil && strings.Contains(err.Error(), "server response headers exceeded"): // net/http has no type for it
		return "fields"
	case errors.Is(err, errDigest):
		return "digest"
	case errors.Is(err, errUnasked):
		return "unasked"
	case errors.Is(err, kind.ErrLost):
		return "lost"
	case errors.Is(err, kind.ErrOlder):
		return "older"
	case errors.Is(err, errLarge):
		return "large"
	case errors.Is(err, errGzip):
		return "gzip"
	case errors.Is(err, errMetadata):
		return "metadata"
	case errors.Is(err, errFile):
		return "file"
	case errors.Is(err, context.Canceled):
		return "abandoned"
	}
	return "error"
}

// retryAfter reads Retry-After in seconds, at most a minute.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(h.Get("Retry-After")))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 60)) * time.Second
}
