package fetch

import (
	"context"
	"errors"
	"math"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/pool"
)

// digestWait is how long a file that is at hand waits for its digest. Masters
// of files that are well must not hang with those of metadata.
const digestWait = 2 * time.Second

// expectation is the digest that a file must have. It is looked up while the file
// itself is fetched. One goroutine uses it.
type expectation struct {
	look    func(renew bool) found // nil where nothing lists the file
	first   chan found             // from the stored list, or a master's where none is stored
	newer   chan found             // from a master's list of now, nil while none is asked
	known   *found
	unsure  bool          // the list that might have a digest cannot be had
	longest time.Duration // wait for each list
	late    bool          // a wait was in vain, and there is no other
	cancel  context.CancelFunc
}

type found struct {
	digest kind.Digest
	ok     bool
	err    error // the list cannot be had
}

var errNoDigest = errors.New("the list of digests does not come")

// expect begins to find out a file's digest.
func (f *Fetcher) expect(ctx context.Context, a pool.Request) *expectation {
	if a.List == nil || len(f.kind.Lists(a.Route)) == 0 {
		return &expectation{cancel: func() {}}
	}
	ctx, cancel := context.WithCancel(ctx)
	e := &expectation{longest: f.digestWait, cancel: cancel}
	if f.policed {
		e.longest = math.MaxInt64 // it may not be served without
	}
	e.look = func(renew bool) found {
		doc, err := a.List(ctx, renew)
		if err != nil {
			return found{err: err}
		}
		d, ok := f.kind.Digest(a.Route, doc)
		return found{digest: d, ok: ok}
	}
	e.first = e.begin(false)
	return e
}

// begin looks the digest up in a goroutine of its own.
func (e *expectation) begin(renew bool) chan found {
	ch := make(chan found, 1)
	go func() { ch <- e.look(renew) }()
	return ch
}

// wait waits for a look-up. ok is false when it takes too long.
func (e *expectation) wait(ch chan found) (f found, ok bool) {
	select {
	case f = <-ch:
		return f, true
	default:
	}
	if e.late {
		return found{err: errNoDigest}, false
	}
	timer := time.NewTimer(e.longest)
	defer timer.Stop()
	select {
	case f = <-ch:
		return f, true
	case <-timer.C:
		e.late = true
		return found{err: errNoDigest}, false
	}
}

// stop ends the look-ups.
func (e *expectation) stop() { e.cancel() }

// get waits for the digest, and with renew looks in the newest list first. A known
// digest stays known where no newer list can be had.
func (e *expectation) get(renew bool) found {
	if e.look == nil {
		return found{}
	}
	if e.known == nil {
		f, ok := e.wait(e.first)
		e.unsure = f.err != nil
		if !ok {
			return f
		}
		e.known = &f
		// A file that is not listed may be newer than the list.
		renew = renew || !f.ok && f.err == nil
	}
	if renew {
		if e.newer == nil {
			e.newer = e.begin(true)
		}
		f, ok := e.wait(e.newer)
		if ok {
			e.newer = nil
		}
		if f.ok {
			e.known = &f
		}
		e.unsure = !e.known.ok && f.err != nil
	}
	return *e.known
}

// longestMissing is how long a file that a master does not have waits for its list, which
// may know better.
const longestMissing = 10 * time.Second

// settle waits for the first list, longer than a file that is at hand does.
func (e *expectation) settle() {
	if e.look == nil || e.known != nil {
		return
	}
	timer := time.NewTimer(longestMissing)
	defer timer.Stop()
	select {
	case f := <-e.first:
		e.known, e.unsure = &f, f.err != nil
	case <-timer.C:
	}
}

// listed says whether the list that is known names the file.
func (e *expectation) listed() bool {
	e.settle()
	return e.known != nil && e.known.ok
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
