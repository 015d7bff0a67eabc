package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
