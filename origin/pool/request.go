package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"strconv"
	"time"

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

	// Awaited says whether nothing of the response has been released yet, so that a client
	// waits for its first byte. It is called on any goroutine. nil is for a response that is
	// released as it comes.
	Awaited func() bool

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

	// ForAnother says that another edge asks this one, so that no further edge is asked.
	// MastersOnly says that no nearer source is, as its answer was no good.
	ForAnother, MastersOnly bool

	// Digest is the digest that a file must have; ok is false where none is known. It may wait
	// for its list. It is for nearer sources alone, called by the goroutine of Each, and may
	// be nil.
	Digest func() (d kind.Digest, ok bool)

	// Purged is when the newest purge was put in force that covers the answer, and Received is
	// told how long ago a master gave the answer that comes next. They are for nearer sources
	// alone, and may be nil.
	Purged   func() time.Time
	Received func(ago time.Duration)

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
	switch {
	case at.url != "":
	case r.At == "":
		at.url = m.URL(r.Route.Path)
	default:
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
		p.cfg.Observe(m.Name(), health.Word(err))
		return nil, transport.Quiet(err)
	}
	p.cfg.Observe(m.Name(), strconv.Itoa(resp.StatusCode))
	resp.Body = m.Counted(p.transport.IdleBody(resp.Body, cancel), new(int64))
	return resp, nil
}

// Observe tells the metrics of something at a master.
func (p *Pool) Observe(m *health.Master, word string) {
	if !m.StandIn {
		p.cfg.Observe(m.Name(), word)
	}
}

// reply is a master's response up to its fields, or why there is none.
type reply struct {
	*health.Master
	pool   *Pool
	req    *Request
	ctx    context.Context
	cancel context.CancelCauseFunc
	resp   *http.Response
	begun  time.Time
	took   time.Duration // until the response's fields were there, or an error
	slow   bool
	size   int64 // bytes of the body so far
	err    error
	fatal  bool // no master can be asked this
	class  health.Class
	inside bool // has a place at the master
	race   *race
	blame  *health.Blame // for the lack of an answer, which the race has not taken over yet
}

// send asks one master, at which the request has a place, and waits for the fields of its
// response. later says that another master was asked before, and has not answered.
func (p *Pool) send(ctx context.Context, m *health.Master, req *Request, later bool) *reply {
	r := &reply{Master: m, pool: p, req: req, class: health.ClassOf(req.Route), inside: true}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	out, err := p.newRequest(r.ctx, m, req)
	if err != nil {
		r.err, r.fatal = err, true
		return r
	}
	do := m.Client.Do
	if req.Route.Transparent {
		do = p.transport.RoundTrip // redirects are the client's to follow
	}
	r.begun = time.Now()
	late := p.transport.AfterLongest(r.cancel) // redirects add up
	r.resp, r.err = do(out)
	r.err = transport.Quiet(r.err)
	if !late.Stop() && r.err != nil && context.Cause(r.ctx) == transport.ErrLate {
		r.err = transport.ErrLate
	}
	took := time.Since(r.begun)
	r.took = took
	switch {
	case r.err == nil:
		if !transport.Failure(r.resp.StatusCode) {
			p.Began(m, r.class)
		}
		if !req.place.elsewhere {
			p.waits[r.class].Add(time.Now(), took)
			r.slow = p.Answers(m, took)
		}
		if req.Route.Transparent {
			transport.Localize(r.resp.Header, out.URL, m.Base, p.cfg.PublicBase)
		} else {
			for _, word := range transport.Sanitize(r.resp, req.Route.Class == kind.File, time.Now()) {
				p.Observe(m, word)
			}
		}
		r.resp.Body = m.Counted(p.bounded(r), &r.size)
	case req.place.elsewhere:
		p.Observe(m, "elsewhere")
	case context.Cause(ctx) == errOutrun && !later:
		m.Took(took)
		p.Observe(m, "outrun")
		p.Failed(m, health.Slow())
	case ctx.Err() != nil: // the race or its client has ended, which is no fault
		p.Observe(m, "abandoned")
	default:
		m.Took(took)
		blame := health.Unanswered(r.err)
		p.Observe(m, blame.Word)
		r.fail(blame)
		p.complain(req.Route, r.trial(r.err))
	}
	return r
}

// bounded is the body of a response, with its waits bounded.
func (p *Pool) bounded(r *reply) io.ReadCloser {
	if r.req.Route.Transparent {
		return p.transport.IdleBody(r.resp.Body, r.cancel)
	}
	return p.transport.EagerBody(r.resp.Body, r.req.Awaited, r.cancel)
}

// judge looks at the status, lets use judge the rest, and records the result in the
// master's health. last says that no other master will be asked.
func (r *reply) judge(last bool, use Use) (Verdict, error) {
	defer r.close()
	if r.err != nil {
		if r.fatal {
			return Accepted, r.err
		}
		return Next, r.err
	}
	verdict, err := Accepted, error(nil)
	switch status := r.resp.StatusCode; {
	case transport.Failure(status) && !(last && r.req.Route.Transparent):
		verdict, err = Next, &transport.StatusError{Status: status, RetryAfter: transport.RetryAfter(r.resp.Header)}
	default:
		verdict, err = use(r.ctx, r.Master, r.resp)
	}
	result, blame := strconv.Itoa(r.resp.StatusCode), (*health.Blame)(nil)
	if err != nil {
		switch cause := context.Cause(r.ctx); {
		case cause == transport.ErrIdle, cause == transport.ErrLate:
			err = cause
		case cause != nil: // it ended while the response was read
			err = &health.Ours{Word: "abandoned", Err: err}
		}
		blame = health.Answered(err)
		result = blame.Word
		if errors.Is(err, transport.ErrSlow) {
			r.Took(time.Since(r.begun))
		}
	}
	r.pool.Observe(r.Master, result)
	if blame != nil && (blame.Guilty() || verdict == Next && worthALine(blame)) {
		r.pool.complain(r.req.Route, r.trial(err))
	}
	switch {
	case r.req.place.elsewhere: // it tells nothing of the master
	case blame != nil && blame.Guilty():
		r.fail(blame)
	case r.slow:
		r.pool.Failed(r.Master, health.Slow())
	case err == nil || verdict == Absent:
		r.pool.Answered(r.Master, r.class)
		if r.resp.StatusCode == http.StatusOK && verdict == Accepted && (r.req.place.url == "" || r.req.place.url == r.URL(r.req.Route.Path)) {
			_, private := r.req.Header["Authorization"]
			r.pool.Learn(r.Master, r.req.Route, private, r.size)
		}
	}
	return verdict, err
}

// trial is the reply as one that was in vain.
func (r *reply) trial(err error) *Trial {
	return &Trial{r.Name(), r.Role(), r.resp != nil, r.took, err}
}

// close releases the response and the place at the master.
func (r *reply) close() {
	if r.blame != nil {
		r.pool.Failed(r.Master, r.blame)
	}
	switch {
	case r.resp == nil:
	case r.size == r.resp.ContentLength: // its end was read with its last byte
		r.resp.Body.Close()
	default:
		transport.Drain(r.resp.Body, r.cancel)
	}
	r.cancel(nil)
	if r.inside {
		r.pool.Release(r.Master, r.class)
	}
}
