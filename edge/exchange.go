package main

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"pkgedge/cache"
	"pkgedge/edge/limit"
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
	from    *upstream // whose masters are asked
	owned   bool      // the answer is for the request's credential alone

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
	h.Set("Cache-Status", "edge; detail="+detail(o, x.err))
	if status < 500 { // what is worse has its own reason, see fail
		h.Set("Proxy-Status", "edge; error=http_request_error")
	}
	body, _ := json.Marshal(struct {
		Error string `json:"error"`
	}{reason})
	x.write(status, append(body, '\n'))
}

func (x *exchange) limited(wait time.Duration) {
	x.header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	x.refuse(cache.Limited, http.StatusTooManyRequests, "too many requests: wait and try again")
}
