package warm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/klauspost/compress/gzip"

	"pkgedge/edge/report"
)

// Limits of a request.
const (
	maxPackument = 512 << 20       // bytes, decoded; public ones have up to 40 MB
	maxRefusal   = 4 << 10         // bytes read of a response with another status than 200
	maxPause     = 2 * time.Minute // how long an edge may keep every request waiting
)

// abbreviated is the Accept of most clients.
const abbreviated = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"

// client sends requests to an edge the way package clients do.
type client struct {
	base    string // without a slash at its end
	http    *http.Client
	timeout time.Duration // between two pieces of a body
	pause   pause
}

// answer describes the answer to a request.
type answer struct {
	bytes int64  // of the body, as sent
	from  source // cache or master
	waits int    // refusals with a time to come back
}

// source is the origin of an answer, as its Cache-Status tells.
type source int

const (
	fromNowhere source = iota // there was no answer
	fromUnknown               // the field is missing
	fromCache
	fromMaster
)

// packument fetches a package's metadata.
func (c *client) packument(ctx context.Context, p wantedPackage) (versions map[string]dist, got answer, err error) {
	got, err = c.get(ctx, "/"+p.name, http.Header{"Accept": {abbreviated}, "Accept-Encoding": {"gzip"}}, func(resp *http.Response) error {
		body := io.Reader(resp.Body)
		if resp.Header.Get("Content-Encoding") == "gzip" {
			zip, err := gzip.NewReader(body)
			if err != nil {
				return err
			}
			body = zip
		}
		versions, err = scanPackument(io.LimitReader(body, maxPackument), p.versions)
		return err
	})
	return versions, got, err
}

// tarball fetches a file of a package and compares it with the checks.
func (c *client) tarball(ctx context.Context, name, file string, checks []digestCheck) (answer, error) {
	path := "/" + name + "/-/" + url.PathEscape(file)
	return c.get(ctx, path, http.Header{"Accept": {"*/*"}, "Accept-Encoding": {"identity"}}, func(resp *http.Response) error {
		return hashTarball(resp.Body, checks)
	})
}

// get requests a path again until the answer is other than "come back later", or
// until no request has been answered for maxPause. use reads the body of a 200.
func (c *client) get(ctx context.Context, path string, header http.Header, use func(*http.Response) error) (answer, error) {
	var got answer
	asked := time.Now()
	for {
		if err := c.pause.wait(ctx); err != nil {
			return got, err
		}
		err := c.try(ctx, path, header, use, &got)
		later := (*laterError)(nil)
		if !errors.As(err, &later) {
			c.pause.answered(time.Now())
			return got, err
		}
		if !c.pause.until(asked, time.Now().Add(later.after)) {
			return got, err
		}
		got.waits++
	}
}

// laterError is a refusal that says when to come back.
type laterError struct {
	error
	after time.Duration
}

// try sends one request. It is cancelled when no byte arrives for the timeout.
func (c *client) try(ctx context.Context, path string, header http.Header, use func(*http.Response) error, got *answer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(c.timeout, func() { cancel(fmt.Errorf("nothing came for %s", c.timeout)) })
	defer idle.Stop()

	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	r.Header = header
	resp, err := c.http.Do(r)
	if err == nil {
		defer resp.Body.Close()
		body := &watchedBody{ReadCloser: resp.Body, idle: idle, timeout: c.timeout}
		resp.Body = body
		err = c.read(resp, use)
		got.bytes += body.bytes
		got.from = cacheSource(resp.Header)
	}
	if ctx.Err() != nil && err != nil {
		return context.Cause(ctx)
	}
	return report.Cause(err)
}

// read reads an answer.
func (c *client) read(resp *http.Response, use func(*http.Response) error) error {
	if resp.StatusCode == http.StatusOK {
		return use(resp)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err != nil {
		return err
	}
	err = report.Refusal(resp.Status, text)
	after := resp.Header.Get("Retry-After")
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable && after != "" {
		return &laterError{err, comeBackAfter(after, time.Now())}
	}
	return err
}

// comeBackAfter reads Retry-After (RFC 9110 section 10.2.3). It returns at least a
// second, and a second where the field is missing or malformed.
func comeBackAfter(value string, now time.Time) time.Duration {
	wait := time.Second
	if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32); err == nil {
		wait = time.Duration(n) * time.Second
	} else if t, err := http.ParseTime(value); err == nil {
		wait = t.Sub(now)
	}
	return max(wait, time.Second)
}

// cacheSource reads Cache-Status (RFC 9211). Its last member is the cache nearest
// to the client.
func cacheSource(h http.Header) source {
	list, err := httpsfv.UnmarshalList(h["Cache-Status"])
	if err != nil || len(list) == 0 {
		return fromUnknown
	}
	item, ok := list[len(list)-1].(httpsfv.Item)
	if !ok {
		return fromUnknown
	}
	if hit, ok := item.Params.Get("hit"); ok && hit == true {
		return fromCache
	}
	return fromMaster
}

// watchedBody counts the bytes of a body, and restarts the timeout at each read.
type watchedBody struct {
	io.ReadCloser
	idle    *time.Timer
	timeout time.Duration
	bytes   int64
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.idle.Reset(b.timeout)
		b.bytes += int64(n)
	}
	return n, err
}

// pause defers all requests until the time that the edge named.
type pause struct {
	mu   sync.Mutex
	end  time.Time
	last time.Time // when any request was answered
}

// answered records that the edge has answered a request.
func (p *pause) answered(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = now
}

// until defers requests until end. It refuses when no request would have been
// answered by then for longer than maxPause, counted from the last answer or from
// asked, the first attempt of the calling request.
func (p *pause) until(asked, end time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.After(asked) {
		asked = p.last
	}
	if end.Sub(asked) > maxPause {
		return false
	}
	if end.After(p.end) {
		p.end = end
	}
	return true
}

// left returns how long the pause lasts from now on.
func (p *pause) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.end)
}

// wait returns when requests may go on, or ctx's error.
func (p *pause) wait(ctx context.Context) error {
	for left := p.left(); left > 0; left = p.left() {
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return ctx.Err()
}
