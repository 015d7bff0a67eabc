package pool

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"strconv"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/transport"
)

// Request is one fetch.
type Request struct {
	Route kind.Route

	// Client is the client that waits for the answer, or the first of them. Where masters are
	// short of room clients take turns.
	Client netip.Addr

	// Header holds fields of the client's request to be sent along, and is nil
	// where a response must not depend on the client.
	Header http.Header

	// ETag and LastModified are validators from an earlier response; both empty
	// for an unconditional request.
	ETag, LastModified string

	// Summary is the kind's summary of the stored response that the answer would
	// replace, nil for none.
	Summary []byte

	// Stale says that there is something to answer with if this fails. Such a
	// fetch is given up sooner than others where masters are short of room.
	Stale bool

	// Followed says that a feed announces each change of the metadata, so that an
	// answer of the primary lives long. The primary is asked first while nobody
	// waits for it, and the answer of another master is marked with Age.
	Followed bool

	// Whole is the size up to which nothing of a response is released before all of it is
	// there.
	Whole int64

	// List returns the document that lists a file's digest (kind.Kind.Lists), with
	// renew one that was validated just now. It may be called on any goroutine, and
	// is nil where the file goes unchecked.
	List func(ctx context.Context, renew bool) ([]byte, error)

	// At is the URL under which its list has a file (kind.Digest.At), "" where that is
	// not known.
	At string

	// Find returns At where it is not known, and "" where it cannot be: it is called for a
	// file that a master does not have in the usual place, on any goroutine. It may be nil.
	Find func(context.Context) string

	place place // of those for At; the zero place is the likeliest

	// The rest is for transparent routes.
	Head           bool                            // a HEAD, not a GET
	Range, IfRange string                          // ask for a part of the representation
	Interim        func(status int, h http.Header) // is told of 1xx responses; may be nil
}

// newRequest builds the HTTP request to a master.
func (p *Pool) newRequest(ctx context.Context, m *health.Master, r *Request) (*http.Request, error) {
	method := http.MethodGet
	if r.Head {
		method = http.MethodHead
	}
	if r.Interim != nil {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
				if status != http.StatusContinue && status != http.StatusSwitchingProtocols {
					r.Interim(status, http.Header(h))
				}
				return nil
			},
		})
	}
	at := r.place
	if at.url == "" {
		at = p.places(m, r)[0]
	}
	req, err := http.NewRequestWithContext(ctx, method, at.url, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s: %w", m.Name(), err)
	}
	if at.elsewhere {
		transport.ForwardHops(req.Header, r.Header)
	} else {
		transport.Forward(req.Header, r.Header)
	}
	switch {
	case r.Route.Transparent:
	case r.Route.Class == kind.Metadata:
		// Always the full document: the edge makes the abbreviated one, and a
		// master that cannot make it would be asked twice.
		req.Header.Set("Accept", "application/json")
		req.Header.Set("Accept-Encoding", "gzip")
	default:
		req.Header.Set("Accept", "*/*")
		req.Header.Set("Accept-Encoding", "identity")
	}
	if r.ETag != "" {
		req.Header.Set("If-None-Match", r.ETag)
	}
	if r.LastModified != "" {
		req.Header.Set("If-Modified-Since", r.LastModified)
	}
	if r.Range != "" {
		req.Header.Set("Range", r.Range)
	}
	if r.IfRange != "" {
		req.Header.Set("If-Range", r.IfRange)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "pkgedge")
	}
	transport.Identify(req.Header, p.cfg.Identity)
	if !at.elsewhere {
		transport.Authorize(req.Header, p.cfg.Credential)
	}
	return req, nil
}

// Send sends a request for a document that goes with the answer of a master, and
// that has the place of that answer. cancel ends ctx.
func (p *Pool) Send(ctx context.Context, cancel context.CancelCauseFunc, m *health.Master, r *Request) (*http.Response, error) {
	req, err := p.newRequest(ctx, m, r)
	if err != nil {
		return nil, err
	}
	late := p.transport.AfterLongest(cancel)
	resp, err := m.Client.Do(req)
	if late.Stop(); err != nil {
		if context.Cause(ctx) == transport.ErrLate {
			err = transport.ErrLate
		}
		p.Observe(m, health.Word(err))
		return nil, transport.Quiet(err)
	}
	p.Observe(m, strconv.Itoa(resp.StatusCode))
	resp.Body = &countedBody{p.transport.IdleBody(resp.Body, cancel), m, new(int64)}
	return resp, nil
}

// Observe tells the metrics of something at a master.
func (p *Pool) Observe(m *health.Master, word string) { p.cfg.Observe(m.Name(), word) }

// countedBody counts the bytes that are read.
type countedBody struct {
	io.ReadCloser
	master *health.Master
	n      *int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	*c.n += int64(n)
	c.master.Got(n)
	return n, err
}
