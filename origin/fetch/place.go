package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/pool"
	"pkgedge/origin/transport"
)

// absent judges a master's answer that it does not have a file. One that a list names is
// missing only when every usable master says so, and the primary is one of them, or there
// are two. Before its answer counts, the master is asked where its own list has the file.
func (f *Fetcher) absent(ctx context.Context, m *health.Master, r *http.Response, t *transfer) (pool.Verdict, error) {
	final := t.missing.final(m, f.alone(m, t.ask.Route))
	gone := r.StatusCode == http.StatusNotFound || r.StatusCode == http.StatusGone
	listed := gone && t.want.listed()
	if listed && f.files == f.masters && !f.askedRightly(m, t) {
		if verdict, err, ok := f.fetchByOwnList(ctx, m, t); ok {
			return verdict, err
		}
	}
	refusal, err := readRefusal(r)
	switch {
	case err != nil:
		return pool.Next, err
	case final && !listed:
		return pool.Accepted, refusal.relay(t.sink)
	}
	t.refusal = refusal
	return pool.Absent, &transport.StatusError{Status: r.StatusCode}
}

// askedRightly says whether a master's own list would not name another place than the one
// where it was asked: its files are in the usual places, and so is this one by the list that
// is known.
func (f *Fetcher) askedRightly(m *health.Master, t *transfer) bool {
	at := t.want.known.digest.At
	return f.layouts.usualAt(m) && (at == "" || strings.HasSuffix(at, t.ask.Route.Path))
}

// fetchByOwnList asks a master for a file in the place that its own list names. ok is
// false where that is nowhere, or where the file is not there either.
func (f *Fetcher) fetchByOwnList(ctx context.Context, m *health.Master, t *transfer) (verdict pool.Verdict, err error, ok bool) {
	d, err := f.ownEntry(ctx, m, t.ask)
	if err != nil || d.At == "" || d.At == t.want.known.digest.At {
		return 0, nil, false
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := f.files.Send(ctx, cancel, m, &pool.Request{Route: t.ask.Route, Header: t.ask.Header, At: d.At})
	if err != nil {
		return 0, nil, false
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return 0, nil, false
	}
	verdict, err = f.verified(r, t)
	return verdict, err, true
}

// ownEntry is the entry of a file in a master's own list.
func (f *Fetcher) ownEntry(ctx context.Context, m *health.Master, a pool.Request) (d kind.Digest, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, list := range f.kind.Lists(a.Route) {
		r, err := f.masters.Send(ctx, cancel, m, &pool.Request{Route: list, Header: a.Header})
		if err != nil {
			return d, err
		}
		d, err = f.entryIn(ctx, m, list, a.Route, r)
		r.Body.Close()
		if err == nil {
			return d, nil
		}
	}
	return d, errNoDigest
}

// entryIn reads the list of a master.
func (f *Fetcher) entryIn(ctx context.Context, m *health.Master, list, file kind.Route, r *http.Response) (d kind.Digest, err error) {
	if r.StatusCode != http.StatusOK {
		return d, &transport.StatusError{Status: r.StatusCode}
	}
	p, err := f.documents.Reserve(ctx, expected(r))
	if err != nil {
		return d, err
	}
	defer p.Release()
	body, _, err := f.readDocument(ctx, r, p)
	if err != nil {
		return d, err
	}
	docs, err := f.kind.Prepare(list, kind.Source{Body: body, Base: baseOf(m), Now: time.Now()})
	if err != nil {
		return d, err
	}
	f.layouts.note(m, docs)
	for _, doc := range docs {
		if doc.Variant != kind.Summary {
			continue
		}
		var summary bytes.Buffer
		if _, err := doc.Body.WriteTo(&summary); err != nil {
			return d, err
		}
		if d, ok := f.kind.Digest(file, summary.Bytes()); ok {
			return d, nil
		}
	}
	return d, fmt.Errorf("%s does not list %s", m.Name(), file.Key)
}

// find looks for the place of a file that is not in the usual one. A new version may be in
// a newer list alone.
func (f *Fetcher) find(ctx context.Context, a pool.Request) string {
	if a.List == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, longestMissing)
	defer cancel()
	for _, renew := range []bool{false, true} {
		doc, err := a.List(ctx, renew)
		if err != nil {
			return ""
		}
		if d, ok := f.kind.Digest(a.Route, doc); ok {
			return d.At
		}
		if f.layouts.usual() {
			break
		}
	}
	return ""
}

// missingEverywhere says whether an error is that every master that could be asked has
// answered that there is no such file, and that this is an answer.
func (t *transfer) missingEverywhere(err error) bool {
	var u *pool.Unavailable
	return t.missing.told && errors.As(err, &u) && u.Absent()
}
