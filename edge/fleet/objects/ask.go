package objects

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"pkgedge/origin"
)

// Site is the source of files for a site. All sites share them, since a file is as its digest
// says.
func (s *Store) Site(string) origin.Nearer { return files{s} }

type files struct{ *Store }

// Ask asks for the file of a digest, where one is known. It is nil where the store has none,
// or is out.
func (s files) Ask(ctx context.Context, r *origin.Request) *origin.Found {
	if r.Digest == nil || !s.health.usable() {
		return nil
	}
	d, ok := r.Digest()
	if !ok {
		return nil
	}
	key, ok := keyOf(d.Algorithm, d.Sum)
	if !ok {
		return nil
	}
	s.counts.asked.Add(1)
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	resp, err := s.send(ctx, cancel, s.request(ctx, http.MethodGet, key), emptyHash, s.health.wait(s.cfg.FirstByte))
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = statusError(resp.StatusCode)
	}
	switch {
	case errors.Is(err, statusError(http.StatusNotFound)):
		cancel(nil)
		s.counts.missing.Add(1)
		s.health.answered()
		return nil
	case err != nil:
		cancel(nil)
		if outer.Err() == nil {
			s.fault(err)
		}
		return nil
	}
	about, ok := readAbout(resp.Header)
	if !ok || older(about.Received, r.Purged) {
		resp.Body.Close()
		cancel(nil)
		s.counts.missing.Add(1)
		return nil
	}
	body := &countedBody{ReadCloser: resp.Body}
	return &origin.Found{
		Response: &http.Response{
			Status: resp.Status, StatusCode: http.StatusOK, Proto: resp.Proto, ProtoMajor: resp.ProtoMajor, ProtoMinor: resp.ProtoMinor,
			Header: about.Fields, ContentLength: resp.ContentLength, Body: body, Request: resp.Request,
		},
		Master: about.Master, Ago: max(0, time.Since(about.Received)),
		Used: func(b *origin.Blame) {
			cancel(nil)
			s.counts.bytes.Add(body.n)
			switch {
			case b == nil:
				s.counts.answered.Add(1)
				s.health.answered()
			case b.Guilty():
				s.fault(b)
			default:
				s.counts.unusable.Add(1)
			}
		},
	}
}

// older says whether a file may be from before the newest purge that covers it. Its time is
// by another edge's clock.
func older(received time.Time, purged func() time.Time) bool {
	if purged == nil {
		return false
	}
	at := purged()
	return !at.IsZero() && received.Before(at.Add(clockMargin))
}

// fault takes notice of a failure of the store.
func (s *Store) fault(err error) {
	s.counts.failed.Add(1)
	if s.health.failed() {
		s.cfg.Log.Warn("the shared store is out: files come from the masters, and none is put there", "cause", err)
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
