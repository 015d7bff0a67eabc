package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Timeouts bound every wait for a master.
type Timeouts struct {
	Connect   time.Duration // for TCP and for TLS, each
	FirstByte time.Duration // from the request's last byte to the end of the response's fields
	Idle      time.Duration // between two reads of a body
	Write     time.Duration // as FirstByte, for a request that no other master can answer; 0 for the same
}

// Longest is how long one request may take until its response's fields are there:
// to connect, by TCP and TLS, and to be answered. A master answers within that or
// not at all, however often it redirects.
func (t Timeouts) Longest() time.Duration { return 2*t.Connect + t.FirstByte }

// ErrLate ends a request whose answer did not begin within [Timeouts.Longest], all
// redirects taken together.
var ErrLate = fmt.Errorf("not answered in time: %w", os.ErrDeadlineExceeded)

// Transport sends requests to the masters of one pool. It is safe for concurrent
// use.
type Transport struct {
	timeouts  Timeouts
	direct    *http.Transport           // to masters
	alone     *http.Transport           // the same, for requests that no other master can answer
	redirects map[reach]*http.Transport // to the targets of redirects, by where the master is
}

// New returns a transport. Its connections are its own.
func New(t Timeouts) *Transport {
	t.Write = cmp.Or(t.Write, t.FirstByte)
	return &Transport{timeouts: t, direct: newDirect(t), alone: newAlone(t), redirects: newGuarded(t)}
}

// Timeouts are those that New was given.
func (t *Transport) Timeouts() Timeouts { return t.timeouts }

// RoundTrip sends a request and follows no redirect.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.direct.RoundTrip(req)
}

// RoundTripAlone sends a request that no other master can answer: to give it up
// gains its client nothing, and it may have taken effect.
func (t *Transport) RoundTripAlone(req *http.Request) (*http.Response, error) {
	return t.alone.RoundTrip(req)
}

// Client returns a client for the requests to one master. It follows redirects.
func (t *Transport) Client(master *url.URL) *http.Client {
	return &http.Client{
		Transport:     &guard{direct: t.direct, redirects: t.redirects, host: master.Hostname()},
		CheckRedirect: checkRedirect,
	}
}

// Quiet is an error of a client without the query and the user of the URL in it: the
// target of a redirect is often signed, and the signature is as good as a password.
func Quiet(err error) error {
	var in *url.Error
	if !errors.As(err, &in) {
		return err
	}
	u, parseErr := url.Parse(in.URL)
	if parseErr != nil {
		return in.Err
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment = nil, "", false, ""
	return &url.Error{Op: in.Op, URL: u.String(), Err: in.Err}
}

// guard sends a master's requests, and those that its redirects lead to. A host
// other than the master's must be at a public address, or in the same part of the
// network as the master: else an attacker in control of a master, or a name it
// redirects to, could read resources that only this machine can reach. The address
// is checked when it is dialled, so that a name that changes its mind in between
// gains nothing.
type guard struct {
	direct    *http.Transport           // to masters
	redirects map[reach]*http.Transport // to the targets of redirects, by where the master is
	host      string                    // the master's
	peer      atomic.Pointer[net.Addr]  // the master's, once it has been connected to
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.EqualFold(req.URL.Hostname(), g.host) {
		return g.redirect(req)
	}
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		peer := info.Conn.RemoteAddr()
		g.peer.Store(&peer)
	}}
	return g.direct.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
}

// CloseIdleConnections closes the connections that no request uses. Those in use
// are closed when their requests end, unless a request begins in between.
func (t *Transport) CloseIdleConnections() {
	t.direct.CloseIdleConnections()
	t.alone.CloseIdleConnections()
	for _, r := range t.redirects {
		r.CloseIdleConnections()
	}
}

// newDirect speaks HTTP/1.1 only: over HTTP/2 all of a site's tarballs would
// share one connection's flow-control window, and one slow reader of ours would
// hold up the rest.
func newDirect(t Timeouts) *http.Transport {
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

// newAlone leaves connections before a server of Node.js closes them, which by default
// is after five seconds: a request with a body that meets the end of its connection
// cannot be sent again.
func newAlone(t Timeouts) *http.Transport {
	alone := newDirect(t)
	alone.ResponseHeaderTimeout = t.Write
	alone.IdleConnTimeout = 4 * time.Second
	return alone
}

// AfterLongest cancels a request with ErrLate unless it is stopped in time.
func (t *Transport) AfterLongest(cancel context.CancelCauseFunc) *time.Timer {
	return time.AfterFunc(t.timeouts.Longest(), func() { cancel(ErrLate) })
}

// StatusError is an answer whose status counts as a failure.
type StatusError struct {
	Status     int
	RetryAfter time.Duration // as the master asked for, 0 for none
}

func (e *StatusError) Error() string { return "answered " + strconv.Itoa(e.Status) }

// Failure says whether a status tells nothing about the resource. Only a
// transparent site hands such an answer on, when no other master does better.
func Failure(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// Absence says whether a status could make something look gone because one
// replica lags.
func Absence(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusGone, http.StatusUnauthorized, http.StatusForbidden:
		return true
	}
	return false
}

var (
	// ErrIdle is a body whose next bytes do not come.
	ErrIdle = fmt.Errorf("body stalled: %w", os.ErrDeadlineExceeded)
	// ErrDrip is a body that comes at no useful rate.
	ErrDrip = fmt.Errorf("body drips: %w", os.ErrDeadlineExceeded)
	// ErrSlow is a body that comes at a rate which another master may better.
	ErrSlow = errors.New("body comes too slowly")
	// ErrUntaken is the body of a request that a master does not read.
	ErrUntaken = fmt.Errorf("the body of the request is not taken: %w", os.ErrDeadlineExceeded)
)

// leastRate is how many bytes a second a master must manage while we wait for
// it.
const leastRate = 256

// idleBody ends a body whose next bytes do not come within the idle time, or
// which drips: less than leastRate in all the waits that make up that time.
type idleBody struct {
	io.ReadCloser
	idle  time.Duration
	timer *time.Timer

	awaited func() bool   // nil for never
	eager   time.Duration // instead of idle while awaited

	waited time.Duration // since the rate was last looked at
	got    int64         // bytes in that time
}

// IdleBody bounds the waits for the next bytes of a response. It calls cancel with
// ErrIdle when a wait takes too long.
func (t *Transport) IdleBody(body io.ReadCloser, cancel context.CancelCauseFunc) io.ReadCloser {
	return newIdleBody(body, t.timeouts.Idle, cancel)
}

// EagerBody is IdleBody for a response of which nothing is released while awaited says so:
// until then a wait is one for the first byte as a client sees it, and another master may
// be sooner.
func (t *Transport) EagerBody(body io.ReadCloser, awaited func() bool, cancel context.CancelCauseFunc) io.ReadCloser {
	b := newIdleBody(body, t.timeouts.Idle, cancel)
	if b, ok := b.(*idleBody); ok && t.timeouts.FirstByte > 0 {
		b.eager, b.awaited = min(b.idle, t.timeouts.FirstByte), awaited
	}
	return b
}

func newIdleBody(body io.ReadCloser, idle time.Duration, cancel context.CancelCauseFunc) io.ReadCloser {
	if idle <= 0 {
		return body
	}
	timer := time.AfterFunc(idle, func() { cancel(ErrIdle) })
	timer.Stop()
	return &idleBody{ReadCloser: body, idle: idle, timer: timer}
}

// Read counts only the time that the master lets us wait: the timer stands
// while we wait for something else, and while our own writers are slow.
func (b *idleBody) Read(p []byte) (int, error) {
	longest := b.idle
	if b.awaited != nil && b.awaited() {
		longest = b.eager
	}
	b.timer.Reset(longest)
	begun := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	b.got += int64(n)
	if b.waited += time.Since(begun); b.waited >= longest && err == nil {
		if b.got < int64(leastRate*b.waited.Seconds()) {
			return n, ErrDrip
		}
		b.waited, b.got = 0, 0
	}
	return n, err
}

func (b *idleBody) Close() error {
	b.timer.Stop()
	return b.ReadCloser.Close()
}

// takenBody ends a request when the master takes none of its body for as long as an
// answer would be waited for. The time in which the client sends nothing does not
// count.
type takenBody struct {
	io.ReadCloser
	idle  time.Duration
	timer *time.Timer
}

// TakenBody bounds the waits for a master to read the body of a request. It calls
// cancel with ErrUntaken when a wait takes too long.
func (t *Transport) TakenBody(body io.ReadCloser, cancel context.CancelCauseFunc) io.ReadCloser {
	return newTakenBody(body, t.timeouts.Write, cancel)
}

func newTakenBody(body io.ReadCloser, idle time.Duration, cancel context.CancelCauseFunc) io.ReadCloser {
	if idle <= 0 {
		return body
	}
	timer := time.AfterFunc(idle, func() { cancel(ErrUntaken) })
	timer.Stop()
	return &takenBody{body, idle, timer}
}

// Read is called when the bytes that it returned before have been written.
func (b *takenBody) Read(p []byte) (int, error) {
	b.timer.Stop()
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		b.timer.Reset(b.idle)
	}
	return n, err
}

func (b *takenBody) Close() error {
	b.timer.Stop()
	return b.ReadCloser.Close()
}

// Drain reads the short rest of a body, so that its connection can be used again,
// and closes it. A new connection is cheaper than a long wait.
func Drain(body io.ReadCloser, cancel context.CancelCauseFunc) {
	const longest = 50 * time.Millisecond
	late := time.AfterFunc(longest, func() { cancel(nil) })
	defer late.Stop()
	io.CopyN(io.Discard, body, 16<<10)
	body.Close()
}

// IsTimeout says whether an error is a wait that took too long.
func IsTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}
