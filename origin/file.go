package origin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net/http"

	"pkgedge/origin/kind"
)

var (
	// errDigest: a file is not what the metadata says it is.
	errDigest = errors.New("digest does not match")
	// errFile: an answer that cannot be the file, whatever its digest.
	errFile = errors.New("unusable file")
)

const (
	// smallFile is the size up to which a file with a known digest is read
	// whole and checked before its first byte goes out, so that a wrong one
	// costs the client nothing but a wait.
	smallFile = 1 << 20
	// heldTail is how much of a larger file is kept back until the digest is
	// right. A client that never gets it sees a broken connection.
	heldTail = 64 << 10
	// copyBuffer is the size of a read from a master.
	copyBuffer = 64 << 10
)

// fetchFile streams a file, and lets it end only when it is right.
func (s *Site) fetchFile(ctx context.Context, a Ask, sink Sink) error {
	want := s.expect(ctx, a.Route)
	return s.pool.each(ctx, a, func(ctx context.Context, m *master, r *http.Response) (try, error) {
		switch {
		case r.StatusCode == http.StatusNotModified:
			if a.ETag == "" && a.LastModified == "" {
				return next, fmt.Errorf("%w: 304 to an unconditional request", errFile)
			}
			return accepted, sink.Respond(r.StatusCode, r.Header, 0)
		case a.Plain():
			return s.stream(r, sink, nil)
		case r.StatusCode != http.StatusOK:
			return s.relay(r, sink)
		}
		if r.ContentLength <= smallFile {
			return s.small(ctx, a.Route, r, sink, want)
		}
		return s.stream(r, sink, want)
	})
}

// expectation waits for the digest a file must have; ok is false when none is
// known.
type expectation func(renew bool) (d kind.Digest, ok bool)

// expect begins to find out a file's digest while the file itself is asked for.
func (s *Site) expect(ctx context.Context, file kind.Route) expectation {
	list, ok := s.Lists(file)
	if !ok || s.digests == nil {
		return func(bool) (kind.Digest, bool) { return kind.Digest{}, false }
	}
	type found struct {
		digest kind.Digest
		ok     bool
	}
	look := func(renew bool) found {
		doc, err := s.digests(ctx, list, renew)
		if err != nil {
			return found{}
		}
		d, ok := s.Digest(file, doc)
		return found{d, ok}
	}
	first := make(chan found, 1)
	go func() { first <- look(false) }()
	var known *found
	return func(renew bool) (kind.Digest, bool) {
		if known == nil {
			f := <-first
			known = &f
		}
		if renew {
			// What was known stays known where no newer list can be had.
			if f := look(true); f.ok {
				known = &f
			}
		}
		return known.digest, known.ok
	}
}

// small reads a file whole and checks it before anything is released. A size
// that was not declared may turn out large.
func (s *Site) small(ctx context.Context, file kind.Route, r *http.Response, sink Sink, want expectation) (try, error) {
	body, whole, err := readUpTo(r.Body, nil, r.ContentLength, smallFile)
	if err != nil {
		return next, err
	}
	if !whole {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		return s.stream(r, sink, want)
	}
	if err := check(r.Header, body, want); err != nil {
		return next, err
	}
	if err := sink.Respond(r.StatusCode, r.Header, int64(len(body))); err != nil {
		return accepted, err
	}
	_, err = sink.Write(body)
	return accepted, err
}

// check compares a whole file with its digest. Before it calls the file wrong
// it asks for the digest anew, for the stored metadata may be the older one.
func check(h http.Header, body []byte, want expectation) error {
	var err error
	for _, renew := range []bool{false, true} {
		d, ok := want(renew)
		if !ok {
			return plausible(h, len(body) == 0)
		}
		sum := newHash(d.Algorithm)
		sum.Write(body)
		if err = compare(d, sum); err == nil {
			return nil
		}
	}
	return err
}

// plausible looks at a file of which no digest is known. An empty one and a page
// for people are the two ways in which masters in trouble answer 200.
func plausible(h http.Header, empty bool) error {
	if empty {
		return fmt.Errorf("%w: it is empty", errFile)
	}
	if t, _, _ := mime.ParseMediaType(h.Get("Content-Type")); t == "text/html" {
		return fmt.Errorf("%w: it is a page of HTML", errFile)
	}
	return nil
}

func compare(d kind.Digest, h hash.Hash) error {
	if got := h.Sum(nil); !bytes.Equal(got, d.Sum) {
		return fmt.Errorf("%w: %s is %x, want %x", errDigest, d.Algorithm, got, d.Sum)
	}
	return nil
}

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "sha512":
		return sha512.New()
	case "sha384":
		return sha512.New384()
	case "sha256":
		return sha256.New()
	}
	return sha1.New()
}

// stream passes a file on as it comes, its last bytes only when its digest is
// right. want is nil where the origin is taken at its word.
func (s *Site) stream(r *http.Response, sink Sink, want expectation) (try, error) {
	// Nothing is released before there is a first byte: a master that sends
	// fields and no more can be passed over.
	body := bufio.NewReaderSize(r.Body, copyBuffer)
	_, err := body.Peek(1)
	if err != nil && err != io.EOF {
		return next, err
	}
	var digest kind.Digest
	var sum hash.Hash
	if want != nil {
		if d, ok := want(false); ok {
			digest, sum = d, newHash(d.Algorithm)
		} else if err := plausible(r.Header, err == io.EOF); err != nil {
			return next, err
		}
	}
	if err := sink.Respond(r.StatusCode, r.Header, r.ContentLength); err != nil {
		return accepted, err
	}
	var to io.Writer = onlyWriter{sink}
	tail := &tailWriter{to: to, sum: sum}
	if sum != nil {
		to = tail
	}
	if _, err := body.WriteTo(to); err != nil {
		return accepted, err
	}
	if sum == nil {
		return accepted, nil
	}
	err = compare(digest, sum)
	if err != nil {
		// As in check; a sum by another algorithm cannot be had any more.
		if d, ok := want(true); ok && d.Algorithm == digest.Algorithm {
			err = compare(d, sum)
		}
	}
	if err != nil {
		return accepted, err
	}
	_, err = sink.Write(tail.held)
	return accepted, err
}

// onlyWriter hides everything but Write.
type onlyWriter struct{ io.Writer }

// tailWriter hashes what it is given and keeps the last of it back: always
// something, and at most heldTail bytes.
type tailWriter struct {
	to   io.Writer
	sum  hash.Hash
	held []byte
}

func (t *tailWriter) Write(p []byte) (int, error) {
	t.sum.Write(p)
	if len(t.held)+len(p) <= heldTail {
		t.held = append(t.held, p...)
		return len(p), nil
	}
	if _, err := t.to.Write(t.held); err != nil {
		return 0, err
	}
	keep := p
	if over := len(p) - heldTail; over > 0 {
		if _, err := t.to.Write(p[:over]); err != nil {
			return 0, err
		}
		keep = p[over:]
	}
	t.held = append(t.held[:0], keep...)
	return len(p), nil
}
