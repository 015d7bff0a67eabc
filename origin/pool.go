package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// pool holds a site's masters, the primary first.
type pool struct {
	masters    []*master
	transport  *http.Transport
	client     *http.Client
	timeouts   Timeouts
	identity   string
	publicBase string
	observe    func(master, result string)
}

// master is one origin server.
type master struct {
	base    *url.URL
	name    string // for logs and metrics: scheme, host and base path
	primary bool

	// trouble is when the master last failed to answer at all, in Unix
	// nanoseconds. For a while it is then asked last.
	trouble atomic.Int64
}

// avoid is how long a master that did not answer is asked last.
const avoid = 5 * time.Second

func newPool(cfg Config) *pool {
	p := &pool{timeouts: cfg.Timeouts, identity: cfg.Identity, publicBase: cfg.PublicBase, observe: cfg.Observe}
	for _, u := range cfg.Masters {
		m := &master{base: u.URL, name: u.URL.Redacted(), primary: u.Primary}
		if u.Primary {
			p.masters = slices.Insert(p.masters, 0, m)
			continue
		}
		p.masters = append(p.masters, m)
	}
	p.transport = newTransport(cfg.Timeouts)
	p.client = &http.Client{Transport: p.transport, CheckRedirect: checkRedirect}
	return p
}

func (p *pool) close() { p.transport.CloseIdleConnections() }

// primary is the master that takes the writes.
func (p *pool) primary() *master { return p.masters[0] }

// order lists the masters in the order to ask them for a read.
func (p *pool) order() []*master {
	now := time.Now().UnixNano()
	order := slices.Clone(p.masters)
	slices.SortStableFunc(order, func(a, b *master) int { return a.shunned(now) - b.shunned(now) })
	return order
}

func (m *master) shunned(now int64) int {
	if t := m.trouble.Load(); t != 0 && now-t < int64(avoid) {
		return 1
	}
	return 0
}

// url joins the master's base with a route's path, both as escaped as they are.
func (m *master) url(path string) string {
	return m.base.Scheme + "://" + m.base.Host + m.basePath() + path
}

func (m *master) basePath() string { return strings.TrimSuffix(m.base.EscapedPath(), "/") }

// localize rewrites the Location of a response to a request for target. A
// master that names itself would send the client, and its credentials, past the
// edge; and a path is one of the master's.
func (p *pool) localize(m *master, target *url.URL, h http.Header) {
	l, err := url.Parse(h.Get("Location"))
	if err != nil || l.Host == "" && !strings.HasPrefix(l.Path, "/") {
		return // relative to the path below the base, which is the same here
	}
	to := target.ResolveReference(l)
	below, ok := strings.CutPrefix(to.EscapedPath(), m.basePath())
	if !ok || below != "" && below[0] != '/' || !sameOrigin(to, m.base) {
		h.Set("Location", to.String())
		return
	}
	rest := url.URL{RawQuery: to.RawQuery, ForceQuery: to.ForceQuery, Fragment: to.Fragment, RawFragment: to.RawFragment}
	base := p.publicBase
	if u, err := url.Parse(base); err == nil && l.Host == "" {
		// A path stays one, unless it would be read as a host.
		if path := u.EscapedPath() + below; strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
			base = u.EscapedPath()
		}
	}
	h.Set("Location", base+below+rest.String())
}

// ErrUnavailable is what every Unavailable is.
var ErrUnavailable = errors.New("no master could answer")

// Unavailable says that no master gave a usable answer, and what each did.
type Unavailable struct {
	Timeout    bool          // the last one was waited for in vain: 504 rather than 503
	RetryAfter time.Duration // as a master asked for, or 0
	Tried      []error
}

func (u *Unavailable) Error() string {
	return ErrUnavailable.Error() + ": " + errors.Join(u.Tried...).Error()
}

// Unwrap makes errors.Is see ErrUnavailable and what happened at each master.
func (u *Unavailable) Unwrap() []error { return append([]error{ErrUnavailable}, u.Tried...) }

// statusError is an answer that counts as a failure.
type statusError struct {
	status     int
	retryAfter time.Duration
}

func (e *statusError) Error() string { return "answered " + strconv.Itoa(e.status) }

// try is what one master's response was good for.
type try uint8

const (
	accepted try = iota // the fetch is over
	next                // ask another master
	absent              // next, but two that say so, or the primary, are an answer
)

// each asks masters in turn until use accepts a response. use gets a response
// whose status has been looked at: 2xx, 304 and the 4xx that are answers. Where
// use returns an error with accepted, something has been released already, and
// the fetch has failed.
func (p *pool) each(ctx context.Context, a Ask, use func(context.Context, *master, *http.Response) (try, error)) error {
	u := &Unavailable{}
	missing := 0
	order := p.order()
	for i, m := range order {
		last := i == len(order)-1
		verdict, err := p.one(ctx, m, a, func(ctx context.Context, r *http.Response) (try, error) {
			if failure(r.StatusCode) && !(last && a.Plain()) {
				return next, &statusError{r.StatusCode, retryAfter(r.Header)}
			}
			if absence(r.StatusCode) && !m.primary && missing == 0 {
				return absent, &statusError{r.StatusCode, 0}
			}
			return use(ctx, m, r)
		})
		if verdict == accepted {
			return err
		}
		if verdict == absent {
			missing++
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		u.note(m, err)
	}
	return u
}

func (u *Unavailable) note(m *master, err error) {
	var status *statusError
	if errors.As(err, &status) && status.retryAfter > 0 {
		u.RetryAfter = max(u.RetryAfter, status.retryAfter)
	}
	u.Timeout = isTimeout(err)
	u.Tried = append(u.Tried, fmt.Errorf("%s: %w", m.name, err))
}

// failure lists the statuses that say nothing about what was asked for. Only a
// plain origin's are handed on, when no other master does better.
func failure(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// absence lists the statuses by which one lagging replica could make something
// look gone.
func absence(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusGone, http.StatusUnauthorized, http.StatusForbidden:
		return true
	}
	return false
}

// one asks one master.
func (p *pool) one(ctx context.Context, m *master, a Ask, use func(context.Context, *http.Response) (try, error)) (try, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := p.request(ctx, m, a)
	if err != nil {
		return accepted, err
	}
	do := p.client.Do
	if a.Plain() {
		do = p.transport.RoundTrip // redirects are the client's to follow
	}
	resp, err := do(req)
	if err != nil {
		if ctx.Err() != nil { // it is we who did not wait
			p.observe(m.name, "abandoned")
			return next, err
		}
		m.trouble.Store(time.Now().UnixNano())
		p.observe(m.name, reason(err))
		return next, err
	}
	m.trouble.Store(0)
	if !a.Plain() {
		// What a registry varies by, the edge asked for; its cookies are the
		// edge's.
		delete(resp.Header, "Vary")
		delete(resp.Header, "Set-Cookie")
	}
	defer drain(resp.Body, cancel)
	resp.Body = newIdleBody(resp.Body, p.timeouts.Idle, cancel)
	if a.Plain() {
		p.localize(m, req.URL, resp.Header)
	}
	verdict, err := use(ctx, resp)
	result := strconv.Itoa(resp.StatusCode)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errIdle) {
			err = cause
		}
		result = reason(err)
	}
	p.observe(m.name, result)
	return verdict, err
}

// drain reads what little is left of a body, so that its connection can be used
// again, and closes it. A new connection is cheaper than a long wait.
func drain(body io.ReadCloser, cancel context.CancelCauseFunc) {
	const patience = 50 * time.Millisecond
	late := time.AfterFunc(patience, func() { cancel(nil) })
	defer late.Stop()
	io.CopyN(io.Discard, body, 16<<10)
	body.Close()
}
