package main

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"

	"pkgedge/cache"
)

// pass forwards what is never stored: publish, login, search, audit and all
// that the kind does not know. Bodies stream both ways. A write that succeeded
// makes what it changed stale before the client hears of it, so that the writer
// reads its own write.
func (x *exchange) pass() {
	x.outcome = cache.Passed
	proxy := httputil.ReverseProxy{
		Transport: x.site.origin.Pass(x.route),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
			p.SetXForwarded()
		},
		ModifyResponse: x.passed,
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) {
			x.fail(err)
		},
		ErrorLog: log.New(io.Discard, "", 0), // the access log has it
	}
	proxy.ServeHTTP(x.w, x.r)
}

// passed sees the response before the client does.
func (x *exchange) passed(resp *http.Response) error {
	x.status = resp.StatusCode
	h := resp.Header
	h["Via"] = append(h["Via"], "1.1 edge")
	why := "bypass"
	if m := x.r.Method; m != http.MethodGet && m != http.MethodHead {
		why = "method"
	}
	h["Cache-Status"] = append(h["Cache-Status"], "edge; fwd="+why+"; detail="+cache.Passed.String())
	resp.Body = &counted{ReadCloser: resp.Body, exchange: x}
	if len(x.route.Touches) > 0 && resp.StatusCode < 400 {
		// The write has happened, whatever becomes of the mark.
		x.err = x.site.touched(x.route.Touches)
	}
	return nil
}

// counted counts a passed body and notes why it ended early.
type counted struct {
	io.ReadCloser
	*exchange
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.sent += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
