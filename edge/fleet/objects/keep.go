package objects

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"pkgedge/origin"
)

// Keep has a file put into the store, some time later. open opens the stored response, and is
// nil where it is gone; it is called twice. Keep never waits: it drops the file where too many
// wait already, or the store is out.
func (s *Store) Keep(open func() *origin.Found) {
	if !s.health.usable() {
		s.figures.dropped.Add(1)
		return
	}
	select {
	case s.queue <- open:
	default:
		s.figures.dropped.Add(1)
	}
}

// trialEvery is how often Run looks whether a trial is due.
const trialEvery = time.Second

// Run puts files, and tries a store that is out, until ctx is done.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(trialEvery)
	defer tick.Stop()
	for {
		select {
		case open := <-s.queue:
			if !s.health.usable() {
				s.figures.dropped.Add(1)
				continue
			}
			s.put(ctx, open)
		case <-tick.C:
			if due, _ := s.health.trial(); due {
				s.try(ctx)
			}
		case <-ctx.Done():
			return
		}
	}
}

// try asks a store that is out for something that it does not have.
func (s *Store) try(ctx context.Context) {
	_, _, err := s.head(ctx, "cas/trial")
	if err != nil {
		s.health.tried()
		return
	}
	s.health.answered()
	s.cfg.Log.Info("the shared store answers again")
}

// head asks whether the store has an object, and of which answer of a master it is.
func (s *Store) head(ctx context.Context, key string) (a about, has bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := s.send(ctx, cancel, s.request(ctx, http.MethodHead, key), emptyHash, s.cfg.FirstByte)
	if err != nil {
		return a, false, err
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		a, _ = readAbout(resp.Header)
		return a, true, nil
	case http.StatusNotFound:
		return a, false, nil
	}
	return a, false, statusError(resp.StatusCode)
}

var errGone = errors.New("it is not stored any more")

// put puts one file, unless the store has it. One that it has from long before is replaced:
// it was asked for, and refused because of a purge.
func (s *Store) put(ctx context.Context, open func() *origin.Found) {
	ctx, cancel := context.WithTimeout(ctx, putLimit)
	defer cancel()
	err := s.putOne(ctx, open)
	switch {
	case err == nil:
		s.health.answered()
	case errors.Is(err, errGone):
		s.figures.dropped.Add(1)
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
	default:
		s.figures.putFailed.Add(1)
		s.fault(err)
	}
}

func (s *Store) putOne(ctx context.Context, open func() *origin.Found) error {
	first := open()
	if first == nil {
		return errGone
	}
	key, hash, size, err := sumOf(first)
	if err != nil {
		return errGone
	}
	a := about{Master: first.Master, Received: time.Now().Add(-first.Ago), Fields: first.Header}
	had, has, err := s.head(ctx, key)
	if err != nil {
		return err
	}
	if has && a.Received.Before(had.Received.Add(clockMargin)) {
		s.figures.had.Add(1)
		return nil
	}
	second := open()
	if second == nil {
		return errGone
	}
	defer second.Body.Close()
	err = s.putBody(ctx, key, hash, size, a, second.Body)
	if err != nil {
		// The store may have it all the same: a connection may break after the bytes were taken.
		if now, has, headErr := s.head(ctx, key); headErr != nil || !has || !now.Received.Equal(a.Received) {
			return cmp.Or(err, headErr)
		}
	}
	s.figures.put.Add(1)
	s.figures.putBytes.Add(size)
	return nil
}

func (s *Store) putBody(ctx context.Context, key, hash string, size int64, a about, body io.Reader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req := s.request(ctx, http.MethodPut, key)
	req.Body, req.ContentLength = io.NopCloser(body), size
	if size == 0 {
		req.Body = http.NoBody
	}
	a.write(req.Header)
	if t := a.Fields.Get("Content-Type"); t != "" {
		req.Header.Set("Content-Type", t)
	}
	resp, err := s.send(ctx, cancel, req, hash, 0)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return statusError(resp.StatusCode)
	}
	return nil
}

var errNoDigest = errors.New("its digest is not known")

// sumOf reads a file, and closes it. It returns its key, the SHA-256 that the store asks for,
// and its size. The digest of the key is the one that was checked when the file was stored.
func sumOf(f *origin.Found) (key, hash string, size int64, err error) {
	defer f.Body.Close()
	algorithm, text, _ := strings.Cut(f.Header.Get("Repr-Digest"), "=:")
	sum, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, ":"))
	if err != nil {
		return "", "", 0, errNoDigest
	}
	key, ok := keyOf(strings.ReplaceAll(algorithm, "-", ""), sum)
	if !ok {
		return "", "", 0, errNoDigest
	}
	h := sha256.New()
	if size, err = io.Copy(h, f.Body); err != nil {
		return "", "", 0, err
	}
	return key, hex.EncodeToString(h.Sum(nil)), size, nil
}
