package fetch

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"pkgedge/origin/documents"
	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/pool"
	"pkgedge/origin/transport"
)

// fetchMetadata reads a document whole, has the kind check and rewrite it, and
// hands on every variant. Until then nothing has been released, so that any
// failure means another master.
func (f *Fetcher) fetchMetadata(ctx context.Context, a pool.Request, sink Sink) error {
	if len(a.Route.Companions) > 0 {
		a.ETag, a.LastModified = "", "" // a 304 says nothing of the companions
	}
	a.Awaited = always
	p := f.pace()
	err := f.fetchDocument(ctx, a, sink, &p)
	if errors.Is(err, transport.ErrSlow) && ctx.Err() == nil { // no other master is well, and slow is better than nothing
		err = f.fetchDocument(ctx, a, sink, &p)
	}
	return err
}

// fetchDocument asks the masters for a document.
func (f *Fetcher) fetchDocument(ctx context.Context, a pool.Request, sink Sink, pace *pace) error {
	lost := false // a replica has sent a document that lacks something
	var missing absences
	begun := time.Now()
	return f.masters.Each(ctx, a, func(ctx context.Context, m *health.Master, r *http.Response) (pool.Verdict, error) {
		answering(sink, m)
		switch {
		case r.StatusCode == http.StatusNotModified:
			if a.ETag == "" && a.LastModified == "" {
				return pool.Next, errUnasked
			}
			if err := f.answered(&a, begun, m, r.Header, nil, false); err != nil {
				return pool.Next, err
			}
			return pool.Accepted, sink.Respond(r.StatusCode, r.Header, 0)
		case transport.Absence(r.StatusCode) && !missing.final(m, f.alone(m, a.Route)):
			return pool.Absent, &transport.StatusError{Status: r.StatusCode}
		case r.StatusCode != http.StatusOK:
			return relay(r, sink)
		}
		r.Body = pace.of(r.Body, always)
		p, err := f.documents.Reserve(ctx, expected(r)+int64(len(a.Summary)))
		if err != nil {
			return pool.Next, err
		}
		defer p.Release()
		body, raw, err := f.readDocument(ctx, r, p)
		if err != nil {
			return pool.Next, err
		}
		from := kind.Source{Body: body, Base: baseOf(m), Summary: a.Summary, Now: time.Now()}
		if len(a.Route.Companions) > 0 {
			if from.Companions, err = f.fetchCompanions(ctx, m, a); err != nil {
				return pool.Next, err
			}
		}
		docs, err := f.kind.Prepare(a.Route, from)
		if errors.Is(err, kind.ErrLost) && !errors.Is(err, kind.ErrOlder) && (m.Primary || lost) {
			from.Summary = nil
			docs, err = f.kind.Prepare(a.Route, from)
		}
		switch {
		case errors.Is(err, kind.ErrAbsent) && !missing.final(m, f.alone(m, a.Route)):
			return pool.Absent, &transport.StatusError{Status: http.StatusNotFound}
		case errors.Is(err, kind.ErrAbsent):
			return pool.Accepted, refuse(sink, http.StatusNotFound, http.Header{}, err.Error())
		case err != nil:
			lost = lost || errors.Is(err, kind.ErrLost)
			return pool.Next, unprepared(a.Route, body, err)
		}
		f.layouts.note(m, docs)
		if err := f.answered(&a, begun, m, r.Header, docs, from.Summary == nil); err != nil {
			return pool.Next, err
		}
		if hasNeeds(docs) && f.defers(ctx, m, a, docs) {
			return pool.Accepted, sink.Respond(http.StatusNotModified, http.Header{"Cache-Control": {transport.CacheControl(r.Header, "max-age="+deferFor)}}, 0)
		}
		if !f.keepRaw {
			raw = nil
		}
		return pool.Accepted, f.writeVariants(ctx, r, docs, raw, sink)
	})
}

// always says that nothing of a document is released before its end.
func always() bool { return true }

// answered has recent writes judge an answer, see pool.RecentWrites.Answered. Where
// nothing was written, there is something to do for a followed document alone.
func (f *Fetcher) answered(a *pool.Request, begun time.Time, m *health.Master, h http.Header, docs []kind.Document, fewer bool) error {
	if !f.writes.Some.Load() && (!a.Followed || m.Primary) {
		return nil
	}
	return f.writes.Answered(a, begun, m, h, docs, fewer)
}

// hasNeeds says whether documents promise files that their master must have.
func hasNeeds(docs []kind.Document) bool {
	return slices.ContainsFunc(docs, func(d kind.Document) bool { return len(d.Needs) > 0 })
}

// usual is how many times its compressed size a packument has, or less.
const usual = 12

// expected is the memory that a response seems to need, in bytes.
func expected(r *http.Response) int64 {
	const unknown = 256 << 10
	switch n := r.ContentLength; {
	case n < 0:
		return unknown
	case r.Header.Get("Content-Encoding") == "":
		return n + n/8
	case n < 1<<40:
		return n * usual
	}
	return unknown
}

// readDocument reads and decodes a body, in the memory of p. raw is the body as it came.
func (f *Fetcher) readDocument(ctx context.Context, r *http.Response, p *documents.Reservation) (doc, raw []byte, err error) {
	raw, whole, err := p.Read(ctx, r.Body, r.ContentLength, f.maxMetadata, 0)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", errMetadata, err)
	case !whole:
		return nil, nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, f.maxMetadata)
	}
	doc = raw
	coded := false
	switch coding := r.Header.Get("Content-Encoding"); coding {
	case "", "identity":
	case "gzip", "x-gzip":
		coded = true
		zr, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errGzip, err)
		}
		doc, whole, err = p.Read(ctx, zr, decodedSize(raw), f.maxMetadata, int64(cap(raw)))
		switch {
		case ctx.Err() != nil:
			return nil, nil, fmt.Errorf("%w: %w", errMetadata, err)
		case err != nil:
			return nil, nil, fmt.Errorf("%w: %w", errGzip, err)
		case !whole:
			return nil, nil, fmt.Errorf("%w: more than %d bytes once decoded", errTooLarge, f.maxMetadata)
		}
	default:
		return nil, nil, fmt.Errorf("%w: content coding %q was not asked for", errMetadata, coding)
	}
	// The summary of a packument is about a tenth of it. A packument of which versions
	// may be withheld is written anew.
	n := int64(cap(doc))
	if f.policed {
		n += n
	}
	if f.keepRaw && coded {
		n += int64(cap(raw))
	}
	if err := p.Grow(ctx, n+n/8); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errMetadata, err)
	}
	return doc, raw, nil
}

// decodedSize is the size in a gzip stream's trailer (RFC 1952, ISIZE), as far as it
// can be true.
func decodedSize(raw []byte) int64 {
	if len(raw) < 18 {
		return 0
	}
	const most = 1032 // times the compressed size, by the format of deflate
	return min(int64(binary.LittleEndian.Uint32(raw[len(raw)-4:])), most*int64(len(raw)))
}

// writeVariants hands on each document in each documents. The master's validators
// stay in the fields, for revalidation. The fields that described its body go. raw is nil, or
// the body, which is stored as well.
func (f *Fetcher) writeVariants(ctx context.Context, r *http.Response, docs []kind.Document, raw []byte, sink Sink) error {
	size := int64(0)
	for _, d := range docs {
		size += d.Size
	}
	release, err := f.documents.AcquireCoder(ctx, size)
	if err != nil {
		return err
	}
	defer release()
	h := r.Header.Clone()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Type", "Content-Md5", "Digest", "Repr-Digest", "Content-Digest", "Vary", "Accept-Ranges"} {
		h.Del(name)
	}
	if until := firstUntil(docs); !until.IsZero() {
		expireAt(h, until)
	}
	parts := 3 * len(docs)
	if raw != nil {
		parts++
	}
	if err := sink.RespondWhole(http.StatusOK, h, parts); err != nil {
		return err
	}
	for _, d := range docs {
		for _, c := range documents.For(d) {
			if err := sink.Part(d.Variant, d.ContentType, c); err != nil {
				return err
			}
			if err := f.documents.Write(sink, d, c); err != nil {
				return fmt.Errorf("cannot write the %s document: %w", d.Variant, err)
			}
		}
	}
	if raw == nil {
		return nil
	}
	return f.writeRaw(r, raw, sink)
}

// writeRaw hands on the body of an answer as it came, compressed.
func (f *Fetcher) writeRaw(r *http.Response, raw []byte, sink Sink) error {
	d := kind.Document{Variant: kind.Raw, ContentType: r.Header.Get("Content-Type"), Size: int64(len(raw)), Body: bytesOf(raw)}
	still := documents.Identity // the coding that it needs
	if c := r.Header.Get("Content-Encoding"); c == "" || c == "identity" {
		still = documents.Gzipped
	}
	if err := sink.Part(d.Variant, d.ContentType, documents.Gzipped); err != nil {
		return err
	}
	if err := f.documents.Write(sink, d, still); err != nil {
		return fmt.Errorf("cannot write the document as it came: %w", err)
	}
	return nil
}

// bytesOf are the bytes of a document that are at hand.
type bytesOf []byte

func (b bytesOf) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b)
	return int64(n), err
}

// firstUntil is when the first of the documents would be made anew, zero for
// never.
func firstUntil(docs []kind.Document) (first time.Time) {
	for _, d := range docs {
		if !d.Until.IsZero() && (first.IsZero() || d.Until.Before(first)) {
			first = d.Until
		}
	}
	return first
}

// longestUntil bounds the lifetime of a response that changes by itself.
const longestUntil = 5 * time.Minute

// expireAt makes a response stale at a moment, or after longestUntil where that
// is sooner. Its validators go: a 304 would keep a document that is to be made anew.
func expireAt(h http.Header, until time.Time) {
	now := time.Now()
	left := max(0, min(until.Sub(now), longestUntil))
	h.Set("Cache-Control", transport.CacheControl(h, "public, max-age="+strconv.Itoa(int(left/time.Second))))
	for _, name := range []string{"Etag", "Last-Modified", "Expires", "Age", "Cdn-Cache-Control"} {
		h.Del(name)
	}
	h.Set("Date", now.UTC().Format(http.TimeFormat))
}

// baseOf is the URL of a master, as kind.Source has it.
func baseOf(m *health.Master) string { return strings.TrimSuffix(m.URL(""), "/") }

// layouts remember which masters have files elsewhere than in the usual place, by the
// documents that they sent. Where none has, a file is asked for while its list is looked
// up. Else the list is waited for, since only it says where the file is.
type layouts struct {
	mu  sync.Mutex
	odd map[string]bool // by master: false for the usual layout
}

// note takes notice of a document of a master.
func (l *layouts) note(m *health.Master, docs []kind.Document) {
	odd := slices.ContainsFunc(docs, func(d kind.Document) bool { return d.Misplaced })
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.odd == nil {
		l.odd = make(map[string]bool)
	}
	l.odd[m.Name()] = l.odd[m.Name()] || odd
}

// usual says whether the masters' documents have named the usual place alone.
func (l *layouts) usual() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, odd := range l.odd {
		if odd {
			return false
		}
	}
	return len(l.odd) > 0
}

// usualAt says the same of one master.
func (l *layouts) usualAt(m *health.Master) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	odd, known := l.odd[m.Name()]
	return known && !odd
}
