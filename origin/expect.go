package origin

import (
	"context"
	"errors"

	"pkgedge/origin/kind"
)

// expectation is the digest that a file must have, found out while the file
// itself is asked for. One goroutine uses it.
type expectation struct {
	look   func(renew bool) found // nil where nothing lists the file
	first  chan found
	known  *found
	cancel context.CancelFunc
}

type found struct {
	digest kind.Digest
	ok     bool
	err    error // the list cannot be had
}

// expect begins to find out a file's digest.
func (s *Site) expect(ctx context.Context, file kind.Route) *expectation {
	lists := s.Lists(file)
	if len(lists) == 0 || s.digests == nil {
		return &expectation{cancel: func() {}}
	}
	ctx, cancel := context.WithCancel(ctx)
	e := &expectation{first: make(chan found, 1), cancel: cancel}
	e.look = func(renew bool) (f found) {
		for _, list := range lists {
			doc, err := s.digests(ctx, list, renew)
			if err != nil {
				f.err = errors.Join(f.err, err)
				continue
			}
			d, ok := s.Digest(file, doc)
			return found{digest: d, ok: ok}
		}
		return f
	}
	go func() { e.first <- e.look(false) }()
	return e
}

// stop ends what is still being looked for.
func (e *expectation) stop() { e.cancel() }

// get waits for what is known, and with renew asks for the newest list first.
// What was known stays known where no newer list can be had.
func (e *expectation) get(renew bool) found {
	if e.look == nil {
		return found{}
	}
	if e.known == nil {
		f := <-e.first
		e.known = &f
		// What is not listed may be newer than the list.
		renew = renew || !f.ok && f.err == nil
	}
	if renew {
		if f := e.look(true); f.ok {
			e.known = &f
		}
	}
	return *e.known
}

// digest is the file's digest; ok is false when none is known.
func (e *expectation) digest(renew bool) (d kind.Digest, ok bool) {
	f := e.get(renew)
	return f.digest, f.ok && f.digest.Algorithm != ""
}

// withheld says why the file must not be served, "" when it may. A release that
// is new to the stored list, or has come of age, is looked for in a newer one.
func (e *expectation) withheld() (why string, err error) {
	f := e.get(false)
	if f.ok && f.digest.Withheld != "" {
		f = e.get(true)
	}
	return f.digest.Withheld, f.err
}
