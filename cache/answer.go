package cache

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"time"

	"pkgedge/cache/flight"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// Query asks for one stored response.
type Query struct {
	Key     store.Key
	Rule    policy.Rule
	Request policy.Request
	Variant string   // of the Part that answers, "" for the only one
	Accept  Encoding // content codings the client takes
	Fetcher Fetcher
	Client  netip.Addr // the client that asks, see FetchRequest; not part of the key
	Memo    string     // which Part the Fetcher is given back, see Ask.Memo; "" for none

	// SoftTimeout bounds the wait for a validation when the stored response may answer
	// if it fails. After it the stored response answers, and the validation goes on. 0
	// means no bound.
	SoftTimeout time.Duration

	// Admit, when set, is called before a fetch of which nothing is stored, and which no other
	// request has begun. Its error is the fetch's. It may be called more than once.
	Admit func() error

	// Interim, when set, is called with each 1xx response of the origin while
	// this request waits, on its own goroutine.
	Interim func(status int, h http.Header)
}

// Encoding is a set of content codings; the identity coding is always in it.
type Encoding uint8

const (
	Gzip Encoding = 1 << iota
	Zstd
)

// Outcome names how a request ended. Log, metric and Cache-Status use the same
// word.
type Outcome uint8

const (
	Failed      Outcome = iota // nothing could answer: 502, 503 or 504
	Hit                        // fresh, from the store
	HitStale                   // stale within a window, from the store
	HitError                   // stale, because the origin failed
	Missed                     // fetched for this request
	Collapsed                  // answered by a fetch begun for another request
	Revalidated                // validated with the origin, then answered from the store
	Passed                     // forwarded, not stored
	Local                      // answered by the edge itself
	Refused                    // a bad or unwanted request
	Limited                    // over the client's budget
	Looped                     // came back to this edge
	outcomes
)

var outcomeWords = [outcomes]string{
	"error", "hit", "stale", "stale-error", "miss", "collapsed", "revalidated", "pass", "local", "refused",
	"limited", "loop",
}

// String is the outcome's word.
func (o Outcome) String() string { return outcomeWords[o] }

// Answer is a response to a Query. The caller closes it. It is a value, so that a hit
// allocates nothing. A zero Answer is closed.
type Answer struct {
	*store.Meta
	Part    store.Part
	Outcome Outcome

	// The fields of Cache-Status (RFC 9211).
	Forward       string // why the request went forward, "" for a hit
	ForwardStatus int    // of the origin's response, 0 when there was none
	Master        string // that gave it; "" where there was none, or it is not known
	Kept          bool   // that response was stored
	TTL           time.Duration
	Age           time.Duration

	Err error // the origin's failure, or ErrSoftTimeout: the reason for a stale answer

	Stored *store.Entry
	reader *flight.Reader
}

// selects says whether the query's request selects a stored response.
func (q *Query) selects(m *store.Meta) bool {
	return len(m.Vary) == 0 || m.Selects(q.Request.Header)
}

// forwardReason is the reason for which a request goes forward, in the words of RFC 9211
// section 2.2. r is the stored response that it selects, or nil, and storeKey its key.
func (q *Query) forwardReason(now time.Time, r *policy.Response, mark policy.Mark, storeKey store.Key) string {
	switch {
	case r == nil && storeKey.ID != q.storeKey().ID:
		return "vary-miss"
	case r == nil:
		return "uri-miss"
	case !r.Contains(&q.Request):
		return "partial"
	}
	undemanding := q.Request
	undemanding.Control = policy.NoDirectives()
	if policy.Decide(now, r, mark, q.Rule, undemanding) == policy.Fresh {
		return "request"
	}
	return "stale"
}

// Bytes is the answer's body when it is in memory.
func (a *Answer) Bytes() ([]byte, bool) {
	if a.Stored == nil {
		return nil, false
	}
	data, ok := a.Stored.Body.Bytes()
	if !ok {
		return nil, false
	}
	return data[a.Part.Offset : a.Part.Offset+a.Part.Size], true
}

// Live reports whether the body may still be on its way from the origin.
func (a *Answer) Live() bool { return a.reader != nil }

// Body returns a reader that begins off bytes into the answer's body. Where the
// body is in a file it says where, for sendfile, see store.Body. A wait for
// bytes that are still being fetched ends with ctx. An io.EOF before Part.Size
// bytes, or any error, means that the body cannot be completed.
func (a *Answer) Body(ctx context.Context, off int64) (io.Reader, error) {
	if a.reader != nil {
		return a.reader.From(ctx, a.Part.Offset+off), nil
	}
	return a.Stored.Body.Section(a.Part.Offset+off, a.Part.Size-off)
}

// Close releases the stored response and the flight's reader.
func (a *Answer) Close() {
	a.Stored.Release()
	if a.reader != nil {
		a.reader.Close()
	}
}

// errNoVariant reports that the stored response has no part for the query.
var errNoVariant = errors.New("stored response has no such representation")

// part picks the representation that answers: the wanted variant in the
// smallest coding the client takes. A response with a single nameless part, such as an
// error or a file, has no choice. Under no-transform the identity coding answers, because
// the edge made the others. They are stored all the same: the next 304 may lift
// no-transform.
func (q *Query) part(m *store.Meta) (store.Part, bool) {
	if len(m.Parts) == 1 && m.Parts[0].Variant == "" {
		return m.Parts[0], true
	}
	accept := q.Accept
	if m.NoTransform() {
		accept = 0
	}
	best, rank := store.Part{}, -1
	for _, p := range m.Parts {
		if p.Variant != q.Variant {
			continue
		}
		r := -1
		switch {
		case p.Encoding == "zstd" && accept&Zstd != 0:
			r = 2
		case p.Encoding == "gzip" && accept&Gzip != 0:
			r = 1
		case p.Encoding == "":
			r = 0
		}
		if r > rank {
			best, rank = p, r
		}
	}
	return best, rank >= 0
}

// errNotShared reports that the request must not use the flight's response.
var errNotShared = errors.New("response is not to be shared")

// mayBeMissing reports whether the flight's response is a 404 or 410, or not known yet.
func mayBeMissing(f *flight.Flight) bool {
	m := f.Head().Meta
	return m == nil || policy.IsMissing(m.Status)
}

// mayJoin reports whether a request may wait for the flight. After the response's headers a
// later request gets it only as it would from the store (RFC 9111 section 4): a response
// that must be validated each time serves the requests that waited for it alone.
func mayJoin(f *flight.Flight, q *Query) bool {
	m := f.Head().Meta
	return m == nil || policy.Decide(time.Now(), &m.Response, policy.NotMarked, q.Rule, q.Request) == policy.Fresh
}

// answer makes the answer of one of the flight's readers.
func answer(f *flight.Flight, q *Query, r *flight.Reader, leader bool, now time.Time) (Answer, error) {
	h := f.Head()
	if !leader && (!h.Shared || !q.selects(h.Meta)) {
		return Answer{}, errNotShared
	}
	part, ok := q.part(h.Meta)
	if !ok {
		return Answer{}, errNoVariant
	}
	a := Answer{
		Meta: h.Meta, Part: part, reader: r,
		Outcome: Missed, Forward: h.Forward, ForwardStatus: h.Status, Master: h.From, Kept: h.Kept,
		TTL: h.Meta.TTL(now, q.Rule), Age: h.Meta.Age(now),
	}
	if leader && len(h.Uncached) > 0 {
		whole := *h.Meta
		whole.Header = h.Meta.Header.Clone()
		maps.Copy(whole.Header, h.Uncached)
		a.Meta = &whole
	}
	switch {
	case h.Stored != nil && h.Forward == "":
		a.Outcome = Hit
	case !leader:
		a.Outcome = Collapsed
	case h.Stored != nil:
		a.Outcome = Revalidated
	}
	return a, nil
}
