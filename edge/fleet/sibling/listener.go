package sibling

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"pkgedge/cache"
)

// Sites makes the queries of siblings.
type Sites interface {
	// ForAnother returns the query for a path of a site's masters, see site.Site.ForAnother.
	ForAnother(site, path, query string, client netip.Addr, hops http.Header) (q *cache.Query, ok bool)
}

// Listener answers siblings. It is safe for concurrent use.
type Listener struct {
	Client  *Client // of this edge
	Cache   *cache.Cache
	Sites   func() Sites // of the running configuration
	Trusted bool         // it asks for certificates, so that nobody but a sibling gets here

	places chan struct{}
	beat   time.Duration // beatEvery, for a test to shorten
}

const (
	// atOnce is how long an answer may take before the sibling is told that it is waited for,
	// and beatEvery the time between two such messages: twice in the sibling's patience.
	atOnce    = 5 * time.Millisecond
	beatEvery = 100 * time.Millisecond
	// maxAsked bounds the requests under way.
	maxAsked = 2048
	// stallLimit is how long a sibling may take for a piece of an answer.
	stallLimit = 20 * time.Second
	pieceSize  = 256 << 10
)

// NewListener returns a listener.
func NewListener(l Listener) *Listener {
	l.places, l.beat = make(chan struct{}, maxAsked), beatEvery
	return &l
}

// ServeHTTP answers a sibling. A stranger learns nothing, and costs nothing.
func (l *Listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !l.Trusted && !l.Client.token.admits(r.Header) {
		l.Client.counts.strangers.Add(1)
		w.Header().Set("Www-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, whyStranger)
		return
	}
	if r.Header.Get(fieldFrom) == l.Client.id {
		refuse(w, http.StatusMisdirectedRequest, whySelf)
		return
	}
	select {
	case l.places <- struct{}{}:
		defer func() { <-l.places }()
	default:
		refuse(w, http.StatusServiceUnavailable, whyBusy)
		return
	}
	if status, why := l.answer(w, r); status != 0 {
		if why != whyAbsent {
			l.Client.counts.declined.Add(1)
		}
		refuse(w, status, why)
	}
}

func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set(fieldWhy, why)
	w.WriteHeader(status)
}

// answer answers a request, or returns why there is no answer.
func (l *Listener) answer(w http.ResponseWriter, r *http.Request) (status int, why string) {
	arrived := time.Now()
	site, path, ok := target(r)
	if !ok {
		return http.StatusNotFound, whyUnknown
	}
	client, _ := netip.ParseAddr(r.Header.Get(fieldClient)) // the zero one where there is none
	q, ok := l.Sites().ForAnother(site, path, r.URL.RawQuery, client, r.Header)
	if !ok {
		return http.StatusNotFound, whyUnknown
	}
	q.Request.Control.OnlyIfCached = r.Header.Get(fieldStored) != ""
	key := path
	if r.URL.RawQuery != "" {
		key += "?" + r.URL.RawQuery
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	a, err := l.await(ctx, w, q, keyOf(site, key))
	switch {
	case errors.Is(err, errWaiting):
		return http.StatusConflict, whyWaiting
	case errors.Is(err, cache.ErrUnavailable):
		return http.StatusNotFound, whyAbsent
	case err != nil:
		return http.StatusBadGateway, whyFailed
	}
	defer a.Close()
	switch purged, ok := parseAge(r.Header.Get(fieldPurged)); {
	case !shared(&a) || a.Part.Variant != q.Variant:
		return http.StatusBadGateway, whyFailed
	case ok && arrived.Sub(a.RequestTime) >= purged: // the purge was before the request came
		return http.StatusPreconditionFailed, whyOlder
	}
	l.respond(ctx, w, r, &a)
	return 0, ""
}

// target is the site and the escaped path that a request names.
func target(r *http.Request) (site, path string, ok bool) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), root)
	if !ok || r.Method != http.MethodGet {
		return "", "", false
	}
	site, path, ok = strings.Cut(rest, "/")
	if !ok {
		return "", "", false
	}
	site, err := url.PathUnescape(site)
	return site, "/" + path, err == nil
}

// shared says whether an answer is one that others may have: a master's, stored or to be
// stored, and no refusal.
func shared(a *cache.Answer) bool {
	fetched := a.ForwardStatus == http.StatusOK // rather than stored, or validated
	return a.Status == http.StatusOK && a.Err == nil && a.Span == nil && a.From != "" && (!fetched || a.Kept)
}

var errWaiting = errors.New("it waits for another edge itself")

// result is the end of a Get.
type result struct {
	answer cache.Answer
	err    error
}

// await asks the cache, and tells the sibling again and again that it is at work. The error is
// errWaiting where it waits for another edge and does not know its own address, so that the
// other one may be waiting for this one.
func (l *Listener) await(ctx context.Context, w http.ResponseWriter, q *cache.Query, key string) (cache.Answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	got := make(chan result, 1)
	go func() {
		a, err := l.Cache.Get(ctx, q)
		got <- result{a, err}
	}()
	wait := time.NewTimer(atOnce)
	defer wait.Stop()
	for {
		select {
		case r := <-got:
			return r.answer, r.err
		case <-wait.C:
		}
		if l.Client.peers.own() == "" && l.Client.asking.has(key) {
			go func() {
				r := <-got
				r.answer.Close()
			}()
			return cache.Answer{}, errWaiting
		}
		w.WriteHeader(http.StatusEarlyHints)
		wait.Reset(l.beat)
	}
}

// respond sends an answer as its master gave it. One that breaks off breaks the connection.
func (l *Listener) respond(ctx context.Context, w http.ResponseWriter, r *http.Request, a *cache.Answer) {
	h := w.Header()
	for name, values := range a.Header {
		if !strings.HasPrefix(name, fieldPrefix) {
			h[name] = values
		}
	}
	if h["Content-Type"] = nil; len(a.Header["Content-Type"]) > 0 { // net/http would guess one
		h["Content-Type"] = a.Header["Content-Type"]
	}
	h.Set(fieldMaster, a.From)
	h.Set(fieldAge, formatAge(time.Since(a.RequestTime)))
	l.Client.counts.served.Add(1)
	if validated(r.Header, a.Header) {
		for _, name := range []string{"Content-Length", "Content-Type", "Content-Encoding"} {
			h.Del(name)
		}
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if a.Part.ContentType != "" {
		h.Set("Content-Type", a.Part.ContentType)
	}
	if a.Part.Encoding != "" {
		h.Set("Content-Encoding", a.Part.Encoding)
	}
	h.Del("Content-Length")
	if a.Part.Size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(a.Part.Size, 10))
	}
	w.WriteHeader(http.StatusOK)
	n, err := l.copyBody(ctx, w, a)
	l.Client.counts.servedBytes.Add(n)
	if err != nil || a.Part.Size >= 0 && n != a.Part.Size {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
}

// copyBody copies the bytes as they come. Each piece has a time limit of its own, in which
// no wait for the masters counts.
func (l *Listener) copyBody(ctx context.Context, w http.ResponseWriter, a *cache.Answer) (sent int64, err error) {
	body, err := a.Body(ctx, 0)
	if err != nil {
		return 0, err
	}
	if a.Live() && a.Part.Size >= 0 { // other parts may follow
		body = io.LimitReader(body, a.Part.Size)
	}
	control := http.NewResponseController(w)
	copyPiece := io.CopyN // which has a file sent by the system
	if a.Live() {
		copyPiece = (&flushed{control: control, buf: make([]byte, 32<<10)}).copy
	}
	for sent != a.Part.Size { // which is -1 where it is not known
		_ = control.SetWriteDeadline(time.Now().Add(stallLimit)) // an error means that there can be none
		piece := int64(pieceSize)
		if a.Part.Size >= 0 { // a connection sends as much of a file as it is asked to
			piece = min(piece, a.Part.Size-sent)
		}
		n, err := copyPiece(w, body, piece)
		sent += n
		if errors.Is(err, io.EOF) {
			return sent, nil
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// flushed copies bytes as they come from a master.
type flushed struct {
	control *http.ResponseController
	buf     []byte
}

// copy copies the next bytes. It waits for them without a time limit.
func (f *flushed) copy(w io.Writer, r io.Reader, _ int64) (int64, error) {
	n, err := r.Read(f.buf)
	if n > 0 {
		_ = f.control.SetWriteDeadline(time.Now().Add(stallLimit))
		if _, err := w.Write(f.buf[:n]); err != nil {
			return 0, err
		}
		if err := f.control.Flush(); err != nil {
			return 0, err
		}
	}
	return int64(n), err
}

// validated says whether a sibling has the very answer: it names the master's validator.
func validated(asked, have http.Header) bool {
	if tag := asked.Get("If-None-Match"); tag != "" {
		return have.Get("Etag") == tag
	}
	date := asked.Get("If-Modified-Since")
	return date != "" && have.Get("Etag") == "" && have.Get("Last-Modified") == date
}
