package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// A Needer is a Fetcher whose response is checked against another one, as a file
// is against the document that lists its digest.
type Needer interface {
	// Needs are the queries for that document, the preferred one first: the first
	// that can be had is enough. Variant names the part that is read. It is called
	// when the document is wanted, so that a hit does not pay for the queries.
	Needs() []*Query
}

// errNoNeed: nothing is known that the response could be checked against.
var errNoNeed = errors.New("nothing lists digests")

// Need returns the document that the response to the fill's query is checked
// against, see Cache.Need. It may be called beside the fill's other methods, and by a
// goroutine that Fetch does not wait for: Close waits for the call, and a later one
// returns ErrClosed, for ristretto panics on a Set that races with its Close.
func (w *Fill) Need(ctx context.Context, renew bool) ([]byte, error) {
	if !w.c.acquire() {
		return nil, ErrClosed
	}
	defer w.c.wg.Done()
	return w.c.Need(ctx, w.q, renew)
}

// Need returns the document that the response to q is checked against, stored or
// fetched, by the same Get as every client's: concurrent needs make one fetch. It
// is validated first with renew, for a stored one may be older than the response.
// Its lifetime is not cut short for the response's sake otherwise.
func (c *Cache) Need(ctx context.Context, q *Query, renew bool) ([]byte, error) {
	from, ok := q.Fetcher.(Needer)
	if !ok {
		return nil, errNoNeed
	}
	var failed error
	for _, need := range from.Needs() {
		need.Client = q.Client
		if renew {
			need.Request.Validate = true
			need.SoftTimeout = 0 // the older document may be wrong
		}
		doc, err := c.read(ctx, need)
		if err == nil {
			return doc, nil
		}
		failed = errors.Join(failed, err)
	}
	if failed == nil {
		failed = errNoNeed
	}
	return nil, failed
}

// read returns the bytes of the part that answers q.
func (c *Cache) read(ctx context.Context, q *Query) ([]byte, error) {
	for retried := false; ; retried = true {
		a, err := c.Get(ctx, q)
		if err != nil {
			return nil, err
		}
		if a.Status != http.StatusOK || a.Part.Variant != q.Variant {
			a.Close()
			return nil, fmt.Errorf("cannot list digests: the master answers %d", a.Status)
		}
		live := a.Live()
		doc, err := a.Other(ctx, q.Variant)
		a.Close()
		if err == nil || retried || live {
			return doc, err
		}
		// The stored document is damaged, and out of the way by now.
	}
}

// Stored returns the document that the response to q would be checked against if it is
// stored, of any age.
func (c *Cache) Stored(ctx context.Context, q *Query) ([]byte, bool) {
	from, ok := q.Fetcher.(Needer)
	if !ok {
		return nil, false
	}
	for _, need := range from.Needs() {
		if doc, ok := c.readStored(ctx, need); ok {
			return doc, true
		}
	}
	return nil, false
}

func (c *Cache) readStored(ctx context.Context, q *Query) ([]byte, bool) {
	s, _, _ := c.lookup(q)
	if s == nil {
		return nil, false
	}
	a := Answer{Meta: s.Meta, Stored: s}
	defer a.Close()
	if a.Status != http.StatusOK {
		return nil, false
	}
	doc, err := a.Other(ctx, q.Variant)
	return doc, err == nil && doc != nil
}
