package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"

	"pkgedge/cache"
	"pkgedge/edge/history"
	"pkgedge/edge/redact"
	"pkgedge/edge/words"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// errClientLeft is the error of a request whose client did not wait for the answer.
var errClientLeft = errors.New("client left")

// defaultRetry is the time that clients are told to wait when no master answers and
// none asked for more.
const defaultRetry = 5 * time.Second

// fail answers when no response could be had. Which master failed is for the log: a
// client learns how, that it is not its fault, and when to come back.
func (x *exchange) fail(err error) {
	x.err = err
	if x.r.Context().Err() != nil && !errors.Is(err, origin.ErrRequest) {
		x.err = errClientLeft
		x.status = 499 // for the log alone, with the number that nginx gives it
		x.outcome = cache.Failed
		// A client may have closed its own direction alone. It must not take the end of
		// the handler for an empty answer with 200.
		panic(http.ErrAbortHandler)
	}
	h := x.header()
	h.Set("Via", "1.1 edge")
	var down *origin.Unavailable
	status, why, reason := http.StatusBadGateway, words.ProxyError(err), words.Failure(x.about(), err)
	switch {
	case errors.Is(err, origin.ErrRequest) && errors.Is(err, os.ErrDeadlineExceeded):
		h.Set("Connection", "close") // the rest of the body may still come
		x.refuse(cache.Refused, http.StatusRequestTimeout, "the body of this request comes too slowly")
		return
	case errors.Is(err, origin.ErrRequest):
		x.refuse(cache.Refused, http.StatusBadRequest, "this request is malformed, or its body did not come whole")
		return
	case errors.Is(err, cache.ErrUnavailable):
		h.Set("Proxy-Status", "edge; error=proxy_internal_response")
		x.refuse(cache.Failed, http.StatusGatewayTimeout, "not stored, and the request forbids to fetch it")
		return
	case errors.Is(err, cache.ErrClosed), errors.Is(err, context.Canceled):
		status, why, reason = http.StatusServiceUnavailable, "proxy_internal_error", "this edge is stopping"
	case errors.Is(err, redact.ErrBusy):
		status, why, reason = http.StatusServiceUnavailable, "proxy_internal_error", "this edge reads too many large requests at a time"
	case errors.Is(err, origin.ErrDrained):
		status, reason = http.StatusServiceUnavailable, "the primary master, which alone takes this request, is drained for maintenance"
	case errors.As(err, &down):
		status = http.StatusServiceUnavailable
		if down.Timeout {
			status = http.StatusGatewayTimeout
		}
	}
	wait := defaultRetry
	if down != nil {
		wait = max(wait, down.RetryAfter)
	}
	h.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	if answered := (*origin.StatusError)(nil); errors.As(words.Last(err), &answered) {
		why += "; received-status=" + strconv.Itoa(answered.Status)
	}
	h.Set("Proxy-Status", "edge; error="+why)
	x.refuse(cache.Failed, status, reason)
}

// recordFailure tells the history of a failure that the client saw and that is none of its own.
func (x *exchange) recordFailure() {
	if x.status < http.StatusInternalServerError && (x.status >= http.StatusBadRequest || x.r.Context().Err() != nil) {
		return
	}
	is := history.Failure{Status: x.status, Reason: x.reason, Last: time.Now()}
	if x.site != nil {
		is.Site = x.site.Name
	}
	if x.err != nil {
		is.Detail = x.err.Error()
	}
	switch {
	case is.Reason != "":
	case x.status >= http.StatusInternalServerError:
		is.Reason = "a master answered " + strconv.Itoa(x.status) + ", and the answer was passed on"
	default:
		is.Reason = "the answer was broken off before its end"
	}
	line := lineOf(x.r, &x.route)
	is.Request = line.Method + " " + line.Path
	x.Failures.Add(is)
}

// about is the request, in terms of its failure.
func (x *exchange) about() words.About {
	a := words.About{Transparent: x.site.Kind.Transparent, Primary: x.route.Class == kind.PassPrimary, Stored: x.route.Class.Cacheable()}
	if a.Primary && !x.reads() {
		a.Write = x.route.Endpoint
	}
	return a
}

// write sends a small complete response.
func (x *exchange) write(status int, body []byte) {
	h := x.header()
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.extendDeadline()
	x.status = status
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		n, _ := x.w.Write(body)
		x.sent = int64(n)
	}
}

// refuse answers with an error in the form that package clients print.
func (x *exchange) refuse(o cache.Outcome, status int, reason string) {
	x.outcome, x.reason = o, reason
	h := x.header()
	if o == cache.Limited && x.r.ContentLength != 0 && x.r.ProtoMajor == 1 {
		h.Set("Connection", "close") // or net/http waits for the body before it answers
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Cache-Status", "edge; detail="+detail(o, x.err))
	if status < 500 { // a worse status has its own reason, see fail
		h.Set("Proxy-Status", "edge; error=http_request_error")
	}
	body, _ := json.Marshal(struct {
		Error string `json:"error"`
	}{reason})
	x.write(status, append(body, '\n'))
}

// limited answers a client that has spent its budget.
func (x *exchange) limited(wait time.Duration) {
	x.header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	x.refuse(cache.Limited, http.StatusTooManyRequests, "too many requests: wait and try again")
}
