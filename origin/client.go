package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"pkgedge/origin/kind"
	"pkgedge/origin/transport"
	"strconv"
	"strings"
	"syscall"
)

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
	transport.Forward(req.Header, a.Header)
	switch {
	case a.Route.Transparent:
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
	transport.Identify(req.Header, p.identity)
	transport.Authorize(req.Header, p.credential)
	return req, nil
}

// reason puts an error into one of a few words, for metrics.
func reason(err error) string {
	var status *transport.StatusError
	switch {
	case errors.As(err, &status):
		return strconv.Itoa(status.Status)
	case errors.Is(err, transport.ErrIdle):
		return "stalled"
	case errors.Is(err, transport.ErrDrip):
		return "drip"
	case transport.IsTimeout(err):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "cut"
	case errors.Is(err, transport.ErrRedirects):
		return "redirects"
	case errors.Is(err, transport.ErrPrivate):
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
