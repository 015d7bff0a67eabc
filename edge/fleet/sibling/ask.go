package sibling

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"pkgedge/origin"
)

var (
	errSilent = errors.New("it says nothing")
	errLong   = errors.New("it has been at work for too long")
)

// askOwner asks one member, for a stored answer alone where stored is true. ok is false where that has
// failed: another one may be asked.
func (c source) askOwner(ctx context.Context, owner string, r *origin.Request, stored bool) (found *origin.Found, ok bool) {
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	begun := time.Now()
	resp, err := c.send(ctx, cancel, owner, r, stored)
	switch {
	case err != nil:
		cancel(nil)
		if err == errLong { // as its masters are slow
			c.counts.refused.Add(1)
			return nil, true
		}
		if outer.Err() == nil {
			c.fault(owner, err)
		}
		return nil, false
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotModified:
		resp.Body.Close()
		cancel(nil)
		return nil, c.refused(owner, begun, resp)
	}
	age, ok := parseAge(resp.Header.Get(fieldAge))
	found = &origin.Found{Response: resp, Master: resp.Header.Get(fieldMaster), Ago: age + time.Since(begun)}
	if !ok || found.Master == "" {
		resp.Body.Close()
		cancel(nil)
		c.fault(owner, fmt.Errorf("an answer without %s or %s", fieldMaster, fieldAge))
		return nil, false
	}
	withoutOwn(resp.Header)
	body := &countedBody{ReadCloser: resp.Body}
	resp.Body = body
	found.Used = func(b *origin.Blame) {
		cancel(nil)
		c.counts.bytes.Add(body.n)
		switch {
		case b == nil:
			c.counts.answered.Add(1)
			c.peers.answered(owner, begun, time.Now())
		case b.Guilty():
			c.fault(owner, b)
		default:
			c.counts.unusable.Add(1)
		}
	}
	return found, true
}

// send sends the request, and waits for the fields of the answer while the member says that it
// is at work.
func (c source) send(ctx context.Context, cancel context.CancelCauseFunc, owner string, r *origin.Request, stored bool) (*http.Response, error) {
	patience := c.cfg.Silence
	if !stored { // the masters are another way, and as good
		patience = c.peers.patience(owner, patience, time.Now())
	}
	quiet := newPatience(patience, cancel)
	defer quiet.stop()
	long := time.AfterFunc(c.cfg.Longest, func() { cancel(errLong) })
	defer long.Stop()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			c.peers.heard(owner, time.Now())
			quiet.heard()
			return nil
		},
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.scheme+"://"+owner+root+url.PathEscape(c.site)+r.Route.Path, nil)
	if err != nil {
		return nil, err
	}
	h := req.Header
	// A master that leads back here is found by these two.
	h["Via"] = append(slices.Clone(r.Header["Via"]), "1.1 "+c.cfg.Identity)
	h["Cdn-Loop"] = append(slices.Clone(r.Header["Cdn-Loop"]), c.cfg.Identity)
	for _, name := range []string{"Traceparent", "Tracestate"} {
		if values := r.Header[name]; len(values) > 0 {
			h[name] = values
		}
	}
	c.sign(h)
	if client := addrOf(r.Client); client != "" {
		h.Set(fieldClient, client)
	}
	if stored {
		h.Set(fieldStored, "1")
	}
	if r.ETag != "" {
		h.Set("If-None-Match", r.ETag)
	}
	if r.LastModified != "" {
		h.Set("If-Modified-Since", r.LastModified)
	}
	if r.Purged != nil {
		if at := r.Purged(); !at.IsZero() {
			h.Set(fieldPurged, formatAge(time.Since(at)))
		}
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	if !quiet.stop() || !long.Stop() { // it came at the last moment
		resp.Body.Close()
		return nil, cmp.Or(context.Cause(ctx), errSilent)
	}
	return resp, nil
}

// refused takes notice of a member's no. It is false where that is a failure.
func (c source) refused(owner string, begun time.Time, resp *http.Response) bool {
	why := resp.Header.Get(fieldWhy)
	switch why {
	case whySelf:
		c.counts.asked.Add(-1)
		c.peers.isSelf(owner)
	case whyAbsent: // as most things that nobody has asked for
		c.counts.asked.Add(-1)
		c.peers.answered(owner, begun, time.Now())
	case whyUnknown, whyWaiting, whyOlder, whyFailed:
		c.counts.refused.Add(1)
		c.peers.answered(owner, begun, time.Now())
	default: // a stranger to it, too many at once, or another program
		c.fault(owner, fmt.Errorf("it answered %d %s", resp.StatusCode, why))
		return false
	}
	return true
}

// fault takes notice of a failure of a member.
func (c source) fault(owner string, err error) {
	c.counts.failed.Add(1)
	if out, ejected := c.peers.failed(owner, errors.Is(err, errSilent), time.Now()); ejected {
		c.cfg.Log.Warn("a sibling is out: its packages have other owners", "sibling", owner, "for", out, "cause", err)
	}
}

// withoutOwn takes the fields between edges out.
func withoutOwn(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, fieldPrefix) {
			delete(h, name)
		}
	}
}

// countedBody counts the bytes that are read.
type countedBody struct {
	io.ReadCloser
	n int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}
