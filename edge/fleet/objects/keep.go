package objects

import (
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

// kept is a file that is to be put.
type kept struct {
	group string // the directory of its package's references
	open  func() *origin.Found
}

// Keep has a file of a package put into the store, some time later. open opens the stored
// response, and is nil where it is gone; it is called twice. Keep never waits: it drops the file
// where too many wait already, or the store is out.
func (s *Store) Keep(site, group string, open func() *origin.Found) {
	if !s.health.usable() {
		s.counts.dropped.Add(1)
		return
	}
	select {
	case s.queue <- kept{groupOf(site, group), open}:
	default:
		s.counts.dropped.Add(1)
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
		case k := <-s.queue:
			if !s.health.usable() {
				s.counts.dropped.Add(1)
				continue
			}
			s.put(ctx, k)
		case <-tick.C:
			if s.health.trial() {
				s.try(ctx)
			}
			s.forgetAll(ctx)
		case <-s.forgets.more:
			s.forgetAll(ctx)
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
func (s *Store) put(ctx context.Context, k kept) {
	ctx, cancel := context.WithTimeout(ctx, putLimit)
	defer cancel()
	err := s.putOne(ctx, k)
	switch {
	case err == nil:
		s.health.answered()
	case errors.Is(err, errGone):
		s.counts.dropped.Add(1)
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
	default:
		s.counts.putFailed.Add(1)
		s.fault(err)
	}
}

func (s *Store) putOne(ctx context.Context, k kept) error {
	first := k.open()
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
		s.counts.had.Add(1)
		return nil
	}
	second := k.open()
	if second == nil {
		return errGone
	}
	defer second.Body.Close()
	// The reference comes first, so that a purge of the package finds all its files.
	if err := s.putBody(ctx, k.group+referenceOf(key), emptyHash, 0, about{}, http.NoBody); err != nil {
		return err
	}
	if err := s.putBody(ctx, key, hash, size, a, second.Body); err != nil {
		return err
	}
	s.counts.put.Add(1)
	s.counts.putBytes.Add(size)
	return nil
}

// putBody puts an object. Where the connection breaks the store may have it all the same: it is
// asked.
func (s *Store) putBody(ctx context.Context, key, hash string, size int64, a about, body io.Reader) error {
	err := s.putOnce(ctx, key, hash, size, a, body)
	if err == nil {
		return nil
	}
	if now, has, headErr := s.head(ctx, key); headErr == nil && has && now.Received.Equal(a.Received) {
		return nil
	}
	return err
}

func (s *Store) putOnce(ctx context.Context, key, hash string, size int64, a about, body io.Reader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req := s.request(ctx, http.MethodPut, key)
	req.Body, req.ContentLength = io.NopCloser(body), size
	if size == 0 {
		req.Body = http.NoBody
	}
	if a.Master != "" {
		a.write(req.Header)
	}
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
