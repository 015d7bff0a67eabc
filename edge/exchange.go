package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"pkgedge/cache"
	"pkgedge/edge/limit"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// exchange is one request and what becomes of it. One goroutine uses it.
type exchange struct {
	*running
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	start   time.Time
	client  netip.Addr
	site    *site  // nil until the request has found one
	path    string // below the site's prefix
	route   kind.Route

	// What log, metrics and Cache-Status tell.
	outcome cache.Outcome
	status  int
	sent    int64 // body bytes
	err     error
}

func newExchange(c *running, w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{running: c, w: w, r: r, control: http.NewResponseController(w), start: time.Now()}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		x.client = limit.ClientAddr(peer.Addr(), r.Header["X-Forwarded-For"], c.trusted)
	}
	c.metrics.Begin()
	return x
}

// end tells what happened. It runs also when the body was broken off by a
// panic, which goes on to net/http.
func (x *exchange) end() {
	x.metrics.End()
	name := ""
	if x.site != nil {
		name = x.site.name
	}
	took := time.Since(x.start)
	x.metrics.Observe(name, x.outcome.String(), x.sent, took)
	x.access.log(x, name, took)
}

func (x *exchange) header() http.Header { return x.w.Header() }

// looped: the request carries this edge's own name (RFC 8586 section 2).
func (x *exchange) looped() bool {
	return names(x.r.Header["Cdn-Loop"], x.identity) || names(x.r.Header["Via"], x.identity)
}

// names looks for a token among the members of a list field.
func names(lines []string, token string) bool {
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			member, _, _ = strings.Cut(member, ";")
			if slices.Contains(strings.Fields(member), token) {
				return true
			}
		}
	}
	return false
}

// foreign: an absolute-form request target (RFC 9112 section 3.2.2) that names
// another host.
func (x *exchange) foreign() bool {
	u := x.r.URL
	if u.Host == "" && u.Scheme == "" {
		return false
	}
	return !slices.Contains(x.running.names, strings.ToLower(u.Host))
}

// stall is how long a client may take none of the bytes it is owed.
const stall = time.Minute

// deadline gives the client that long for the next piece.
func (x *exchange) deadline() {
	// An error means that the connection cannot have one, as in tests.
	_ = x.control.SetWriteDeadline(time.Now().Add(stall))
}

// write sends a small complete response.
func (x *exchange) write(status int, body []byte) {
	h := x.header()
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.deadline()
	x.status = status
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		n, _ := x.w.Write(body)
		x.sent = int64(n)
	}
}

// refuse answers with an error in the form that package clients print.
func (x *exchange) refuse(o cache.Outcome, status int, reason string) {
	x.outcome = o
	h := x.header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Cache-Status", "edge; detail="+o.String())
	body, _ := json.Marshal(struct {
		Error string `json:"error"`
	}{reason})
	x.write(status, append(body, '\n'))
}

func (x *exchange) limited(wait time.Duration) {
	x.header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	x.refuse(cache.Limited, http.StatusTooManyRequests, "too many requests: wait and try again")
}

// retryAfter is what clients are told to wait when no master answers and none
// asked for more.
const retryAfter = 5 * time.Second

// fail answers when nothing could be had. What went wrong at which master is
// for the log: a client learns that it is not its fault, and when to come back.
func (x *exchange) fail(err error) {
	x.err = err
	if x.r.Context().Err() != nil {
		x.err = errClientGone
		x.status = 499 // nobody reads it; for the log, as nginx counts them
		x.outcome = cache.Failed
		return
	}
	var down *origin.Unavailable
	status, kindOf, reason := http.StatusBadGateway, "destination_unavailable", "no registry master gave a usable answer"
	switch {
	case errors.Is(err, cache.ErrUnavailable):
		status, kindOf, reason = http.StatusGatewayTimeout, "", "not stored, and the request forbids to fetch it"
	case errors.Is(err, cache.ErrClosed), errors.Is(err, context.Canceled):
		status, reason = http.StatusServiceUnavailable, "this edge is stopping"
	case errors.As(err, &down):
		status, reason = http.StatusServiceUnavailable, "no registry master can be reached, and nothing is stored for this request"
		if down.Timeout {
			status, kindOf = http.StatusGatewayTimeout, "connection_timeout"
		}
	}
	h := x.header()
	if status != http.StatusGatewayTimeout || down != nil {
		wait := retryAfter
		if down != nil {
			wait = max(wait, down.RetryAfter)
		}
		h.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	}
	if kindOf != "" {
		h.Set("Proxy-Status", "edge; error="+kindOf)
	}
	h.Set("Via", "1.1 edge")
	x.refuse(cache.Failed, status, reason)
}
