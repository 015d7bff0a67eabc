package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	heartbeat = 5 * time.Second // asked of a continuous feed
	silence   = 3 * heartbeat   // after which a feed is given up
	longpoll  = 2 * heartbeat   // asked of a longpoll feed
	pageTime  = time.Minute     // for a page, from first byte asked to last one read
	maxError  = 4 << 10         // bytes read of an answer that is none
)

var (
	errSilence = errors.New("not heard from for too long")
	errSlow    = fmt.Errorf("answer took longer than %v", pageTime)
)

// NewTransport returns a transport for followers: connections are waited for that
// long, and answers as long as a follower waits.
func NewTransport(connect time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: connect, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    connect,
		MaxIdleConnsPerHost:    2,
		MaxConnsPerHost:        4,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // a server that compresses holds lines back
	}
}

// statusError is an answer other than 200.
type statusError struct {
	status int
	reason string        // from the body, where it is CouchDB's
	after  time.Duration // Retry-After
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("the feed answers %d", e.status)
	if e.reason != "" {
		s += fmt.Sprintf(": %q", e.reason)
	}
	return s
}

// unknownSince says whether the answer means that our sequence is not known.
func (e *statusError) unknownSince() bool {
	switch e.status {
	case http.StatusGone:
		return true
	case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable, http.StatusUnprocessableEntity:
		reason := strings.ToLower(e.reason)
		return strings.Contains(reason, "since") || strings.Contains(reason, "seq")
	}
	return false
}

// answer is a response and the watch over it.
type answer struct {
	*http.Response
	watch  *time.Timer
	patch  time.Duration // the watch is set back to
	cancel context.CancelCauseFunc
}

// heard sets the watch back.
func (a *answer) heard() { a.watch.Reset(a.patch) }

func (a *answer) close() {
	a.watch.Stop()
	a.Body.Close()
	a.cancel(nil)
}

// ask sends a GET. It is given up after wait, with the cause late, and so is the
// reading of the body unless heard is called meanwhile.
func (f *Follower) ask(ctx context.Context, u *url.URL, wait time.Duration, late error) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	a := &answer{patch: wait, cancel: cancel, watch: time.AfterFunc(wait, func() { cancel(late) })}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err == nil {
		req.Header.Set("Accept", "application/json")
		req.Header.Set("User-Agent", "pkgedge (changes)")
		a.Response, err = f.cfg.Transport.RoundTrip(req) // a redirect is the operator's to follow: it may lead anywhere
	}
	if err != nil {
		a.watch.Stop()
		err = because(ctx, err)
		cancel(nil)
		return nil, fmt.Errorf("cannot ask the feed: %w", err)
	}
	a.Body = &explained{ReadCloser: a.Body, ctx: ctx}
	if a.StatusCode == http.StatusOK {
		return a, nil
	}
	defer a.close()
	return nil, refusal(a.Response)
}

// because prefers the reason for which a context ended.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// explained is a body whose errors tell why it was given up.
type explained struct {
	io.ReadCloser
	ctx context.Context
}

func (e *explained) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = because(e.ctx, err)
	}
	return n, err
}

// refusal is the error of an answer other than 200.
func refusal(r *http.Response) *statusError {
	e := &statusError{status: r.StatusCode}
	if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.after = time.Duration(min(seconds, 1<<20)) * time.Second
	} else if at, err := http.ParseTime(r.Header.Get("Retry-After")); err == nil {
		e.after = max(0, time.Until(at))
	}
	if where := r.Header.Get("Location"); r.StatusCode/100 == 3 && where != "" {
		e.reason = "redirects to " + cut(where)
		return e
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "text/html" {
		return e
	}
	raw, _ := io.ReadAll(io.LimitReader(r.Body, maxError))
	var body struct{ Error, Reason string }
	if json.Unmarshal(raw, &body) == nil {
		if body.Reason == "" {
			body.Reason = body.Error
		}
		e.reason = cut(body.Reason)
	}
	return e
}

// cut shortens a text of the server.
func cut(text string) string { return text[:min(len(text), 200)] }

// changes is the URL of the feed, with a query.
func (f *Follower) changes(query url.Values) *url.URL {
	u := *f.db
	u.Path = strings.TrimSuffix(u.Path, "/") + "/_changes"
	u.RawPath = ""
	u.RawQuery = query.Encode()
	return &u
}

// now finds the feed's present end: CouchDB knows since=now, and the database's
// document has it in every form of the API.
func (f *Follower) now(ctx context.Context) (sequence, error) {
	ways := []func(context.Context) (sequence, error){f.glance, f.root}
	if f.cfg.Mode == Poll {
		slices.Reverse(ways)
	}
	var errs []error
	for _, way := range ways {
		seq, err := way(ctx)
		if err == nil {
			return seq, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("cannot find the feed's end: %w", errors.Join(errs...))
}

// glance asks for the changes after the end, of which there are none.
func (f *Follower) glance(ctx context.Context) (sequence, error) {
	a, err := f.ask(ctx, f.changes(url.Values{"since": {"now"}, "limit": {"1"}}), pageTime, errSlow)
	if err != nil {
		return "", err
	}
	defer a.close()
	p, err := readPage(a.Body, maxPage, func(*row) error { return nil })
	if err == nil && p.rows > 0 {
		err = errors.New("the feed does not know since=now")
	}
	return p.last, err
}

// root asks for the sequence in the database's document, or in that of the
// server's root, where the public API has it.
func (f *Follower) root(ctx context.Context) (seq sequence, err error) {
	above := *f.db
	above.Path, above.RawPath = "/", ""
	var errs []error
	for _, u := range []*url.URL{f.db, &above} {
		if seq, err = f.document(ctx, u); err == nil {
			return seq, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

func (f *Follower) document(ctx context.Context, u *url.URL) (sequence, error) {
	a, err := f.ask(ctx, u, pageTime, errSlow)
	if err != nil {
		return "", err
	}
	defer a.close()
	raw, err := io.ReadAll(io.LimitReader(a.Body, maxRow))
	if err != nil {
		return "", err
	}
	var doc struct {
		UpdateSeq sequence `json:"update_seq"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return "", fmt.Errorf("%w: %w", errNotFeed, err)
	}
	if doc.UpdateSeq == "" {
		return "", fmt.Errorf("%s has no update_seq", u.Redacted())
	}
	return doc.UpdateSeq, nil
}
