package fetch

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"pkgedge/origin/documents"
	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/pool"
	"pkgedge/origin/transport"
	"pkgedge/origin/verify"
)

const (
	// smallFile is the size up to which a file is read whole and checked in memory. A
	// larger one is spooled, and checked in the cache's tiers.
	smallFile = 1 << 20
	// withheldTail is how much of a file that streams is withheld until the digest is
	// right. A client that never gets it sees a broken connection.
	withheldTail = 64 << 10
	// copyBuffer is the size of a read from a master.
	copyBuffer = 64 << 10
)

// fetchFile streams a file, and lets it end only when it is right.
func (f *Fetcher) fetchFile(ctx context.Context, a pool.Request, sink blameless) error {
	want := f.expect(ctx, a)
	defer want.stop()
	switch why, err := f.withheld(want); {
	case err != nil:
		return err
	case why != "":
		return refuse(sink, http.StatusUnavailableForLegalReasons, http.Header{"Cache-Control": {"no-store"}}, why)
	}
	t := &transfer{sink: sink, ask: a, want: want, size: -1}
	t.spool, t.times, t.pace = sink, f.spool, f.pace()
	if !a.Route.Transparent {
		t.awaited.Store(true)
		t.ask.Awaited = t.awaited.Load
	}
	if len(f.kind.Lists(a.Route)) > 0 {
		t.ask.Digest = func() (kind.Digest, bool) { return want.digest(false) }
		if !f.layouts.usual() {
			t.ask.At = want.get(false).digest.At
		}
		t.ask.Find = func(ctx context.Context) string { return f.find(ctx, a) }
	}
	err := f.fetchTransfer(ctx, t)
	if t.missingEverywhere(err) {
		return t.refusal.relay(sink)
	}
	for {
		switch {
		case t.interrupted(ctx, err):
			err = f.resume(ctx, t)
		case t.restartable(ctx, err):
			err = f.restart(ctx, t)
		default:
			return err
		}
	}
}

// fetchTransfer asks the masters for a file.
func (f *Fetcher) fetchTransfer(ctx context.Context, t *transfer) error {
	a := t.ask
	return f.files.Each(ctx, a, func(ctx context.Context, m *health.Master, r *http.Response) (pool.Verdict, error) {
		answering(t.sink, m)
		switch {
		case r.StatusCode == http.StatusNotModified:
			if a.ETag == "" && a.LastModified == "" {
				return pool.Next, errUnasked
			}
			return pool.Accepted, t.sink.Respond(r.StatusCode, r.Header, 0)
		case transport.Absence(r.StatusCode) && a.Route.Transparent && !t.missing.final(m, f.alone(m, a.Route)):
			return pool.Absent, &transport.StatusError{Status: r.StatusCode}
		case a.Route.Transparent:
			return f.stream(r, t)
		case transport.Absence(r.StatusCode):
			return f.absent(ctx, m, r, t)
		case r.StatusCode != http.StatusOK:
			return relay(r, t.sink)
		}
		verdict, err := f.verified(r, t)
		if t.unsure && err == nil {
			f.files.Observe(m, "unchecked")
		}
		return verdict, f.noteBadCopy(m, t, err)
	})
}

// Withheld says why a file that is stored must not be served, "" when it may.
func (f *Fetcher) Withheld(ctx context.Context, a pool.Request) (why string, err error) {
	want := f.expect(ctx, a)
	defer want.stop()
	return f.withheld(want)
}

func (f *Fetcher) withheld(want *expectation) (why string, err error) {
	if !f.policed {
		return "", nil
	}
	if why, err = want.withheld(); err != nil {
		return "", fmt.Errorf("cannot tell whether it may be served: %w", err)
	}
	return why, nil
}

// verified passes on a file that is right.
func (f *Fetcher) verified(r *http.Response, t *transfer) (pool.Verdict, error) {
	r.Body = t.pace.of(r.Body, t.mayLeave)
	if r.ContentLength <= smallFile {
		return f.small(r, t)
	}
	return f.stream(r, t)
}

// noteBadCopy notes a bad copy of a master: a wrong file, or one that broke off, so that
// the rest is asked of another master. A wrong file that is known is no news of the master.
func (f *Fetcher) noteBadCopy(m *health.Master, t *transfer, err error) error {
	wrong := errors.Is(err, verify.ErrDigest) || errors.Is(err, verify.ErrFile)
	if (wrong || t.broken != nil) && !f.files.BadCopy(m, t.ask.Route.Key) && wrong {
		return &health.Ours{Word: health.Word(err), Err: err}
	}
	return err
}

// refuse answers with an error of our own, in the form that package clients print.
func refuse(sink Sink, status int, h http.Header, why string) error {
	body := fmt.Appendf(nil, "{\"error\":%q}\n", why)
	h.Set("Content-Type", "application/json")
	if err := sink.Respond(status, h, int64(len(body))); err != nil {
		return err
	}
	_, err := sink.Write(body)
	return err
}

// small reads a file whole and checks it before anything is released. A size
// that was not declared may turn out large.
func (f *Fetcher) small(r *http.Response, t *transfer) (pool.Verdict, error) {
	body, whole, err := documents.ReadUpTo(r.Body, nil, r.ContentLength, smallFile)
	if err != nil {
		return pool.Next, err
	}
	if !whole {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		return f.stream(r, t)
	}
	d, err := check(t.ask.Route, r.Header, body, t.want)
	if err != nil {
		return pool.Next, err
	}
	t.describe(r.Header, d)
	if err := t.sink.Respond(r.StatusCode, r.Header, int64(len(body))); err != nil {
		return pool.Accepted, err
	}
	_, err = t.sink.Write(body)
	return pool.Accepted, err
}

// check compares a whole file with its digest, and returns that, if one is
// known. Before it calls the file wrong it asks for the digest anew, for the
// stored metadata may be the older one.
func check(file kind.Route, h http.Header, body []byte, want *expectation) (d kind.Digest, err error) {
	for _, renew := range []bool{false, true} {
		d, ok := want.digest(renew)
		if !ok {
			if err := plausible(file, h, body); err != nil || !framed(file) {
				return d, err
			}
			f := verify.Gzip()
			f.Write(body)
			return d, f.Verify()
		}
		v := verify.Digest(d)
		v.Write(body)
		if err = v.Verify(); err == nil {
			return d, nil
		}
	}
	if isPage(body) {
		err = fmt.Errorf("%w: %w", errPage, err)
	}
	return d, err
}

// plausible looks at the beginning of a file of which no digest is known. An
// empty one and a page of HTML are the two ways in which masters in trouble
// answer 200.
func plausible(file kind.Route, h http.Header, begin []byte) error {
	if len(begin) == 0 {
		return fmt.Errorf("%w: it is empty", verify.ErrFile)
	}
	if t, _, _ := mime.ParseMediaType(h.Get("Content-Type")); t == "text/html" && !strings.HasSuffix(file.Path, ".html") {
		return &health.Ours{Word: errPage.Word, Err: errPage} // a client may have made its name up
	}
	if framed(file) && !bytes.HasPrefix([]byte("\x1f\x8b"), begin[:min(2, len(begin))]) {
		return fmt.Errorf("%w: it is not gzip", verify.ErrFile)
	}
	return nil
}

// framed: the file's name says that it is gzip, which has a checksum and a
// length of its own (RFC 1952).
func framed(file kind.Route) bool {
	return strings.HasSuffix(file.Path, ".tgz") || strings.HasSuffix(file.Path, ".tar.gz")
}

// describe states a file's digest before its first byte: Repr-Digest (RFC 9530), and
// an ETag where the master gives none. That ETag is strong, for the digest fixes
// every byte. It is the edge's own: no master is asked about it.
//
// A file whose digest could not be had is kept for longestUntil, and loses its
// validators: then it is fetched again, and checked.
func (t *transfer) describe(h http.Header, d kind.Digest) {
	h.Del("Repr-Digest")
	h.Del("Content-Digest")
	tagged, _ := t.sink.(interface{ Tag(etag string) })
	if tagged != nil {
		tagged.Tag("") // that of another master's file
	}
	if d.Algorithm == "" {
		if t.unsure = t.want.unsure; t.unsure {
			expireAt(h, time.Now().Add(longestUntil))
		}
		return
	}
	t.unsure = false
	switch d.Algorithm {
	case "sha512":
		h.Set("Repr-Digest", "sha-512=:"+base64.StdEncoding.EncodeToString(d.Sum)+":")
	case "sha256":
		h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(d.Sum)+":")
	}
	if tagged != nil && h.Get("Etag") == "" {
		tagged.Tag(`"` + d.Algorithm + "-" + base64.RawURLEncoding.EncodeToString(d.Sum[:min(18, len(d.Sum))]) + `"`)
	}
}
