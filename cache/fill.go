package cache

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"hash/crc32"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"pkgedge/cache/flight"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Fetcher asks the origin on behalf of the cache. Fetch writes exactly one response to fill,
// and returns nil when its last byte was right. On an error the response is not stored, and
// every reader that has begun sees a broken body. Fetch bounds its own waits. ctx ends only
// when no client can use the response any more, or the edge stops.
type Fetcher interface {
	Fetch(ctx context.Context, ask FetchRequest, fill *Fill) error
}

// FetchRequest is a request of the cache to the origin.
type FetchRequest struct {
	Head bool // a HEAD, not a GET
	// Client is the client whose request began the fetch, zero for none.
	Client netip.Addr
	// Header holds the client's selecting fields; read only, may be nil.
	Header http.Header
	// ETag and LastModified are the validators of the stored response; both
	// empty, the request is unconditional.
	ETag, LastModified string
	// Stale tells that a stored response answers if the fetch fails, so that it may be
	// given up soon.
	Stale bool
	// Range and IfRange ask for a part: with both empty, for the whole.
	Range, IfRange string
	// Memo is the part of the stored response that Query.Memo names, nil for
	// none. The Fetcher wrote it with that response.
	Memo []byte
}

var (
	// ErrUnasked is a 304 to a request without validators.
	ErrUnasked = errors.New("304 Not Modified to an unconditional request")
	// errShort reports fewer or more bytes than the response declared.
	errShort = errors.New("body has another length than declared")
)

// preferStale refuses an error response because a stored one, though stale,
// answers better.
type preferStale struct{ status int }

func (p preferStale) Error() string { return "origin answered " + strconv.Itoa(p.status) }

// Fill receives a response from a Fetcher: Respond and then Write for one that
// is streamed, or RespondWhole and then Part and Write for one that is released whole.
type Fill struct {
	c        *Cache
	f        *flight.Flight
	q        *Query
	base     *store.Entry // the stored response that the validators of asked are of
	mark     policy.Mark
	storeKey store.Key // of the new response

	asked     FetchRequest
	requested time.Time
	meta      *store.Meta
	declared  int64
	whole     bool
	spooled   bool // see Spool
	renewed   bool
	crc       uint32
	tag       hash.Hash
	etag      string        // see Tag
	ago       time.Duration // see Received
	committed func()        // see Committed; nil for nothing
	size      int64         // bytes of finished parts
}

// Respond begins a streamed response of size bytes, -1 when not known. Readers
// get it from now on. A 304 renews the stored response instead.
//
// It returns an error for an unusable response. The Fetcher returns that error.
func (w *Fill) Respond(status int, h http.Header, size int64) error {
	if status == http.StatusNotModified {
		return w.renew(h)
	}
	if w.q.Request.Method == http.MethodHead {
		return w.head(status, h, size)
	}
	if w.base != nil && policy.IsServerError(status) &&
		policy.DecideOnError(time.Now(), w.base.Policy(), w.mark, w.q.Rule, w.q.Request) == policy.StaleIfError {
		return preferStale{status}
	}
	if refused(status) && w.q.Request.Owner != "" && w.base != nil {
		// An owner that the origin refuses gets no stale response in an outage.
		w.c.store.Remove(w.storeKey, w.base.Version)
	}
	if status == http.StatusPartialContent {
		return w.partial(h, size)
	}
	if status == http.StatusNoContent {
		size = 0
	}
	w.beginResponse(status, h)
	w.releaseStreamed(size)
	return nil
}

// Tag sets a strong ETag of the edge's own for the response of the next Respond, when the
// Fetcher knows a digest of its bytes. Only clients get it: it is no validator of the origin.
func (w *Fill) Tag(etag string) { w.etag = etag }

// From names the master whose response comes next.
func (w *Fill) From(master string) { w.f.SetFrom(master) }

// Received says how long ago a master gave the response that comes next, or confirmed it. It
// is above zero where that comes by way of another cache that is as near as this one: then
// its age and all lifetimes count from that moment.
func (w *Fill) Received(ago time.Duration) { w.ago = ago }

// Purged is when the newest purge was put in force that covers the response, zero for none.
// No response may be used that a master gave before.
func (w *Fill) Purged() time.Time { return w.c.purges.Last(w.q.Key) }

// Committed has a function called once the response is stored, and can be found. It must not
// wait.
func (w *Fill) Committed(do func()) { w.committed = do }

// releaseStreamed releases a streamed response of size bytes.
func (w *Fill) releaseStreamed(size int64) {
	w.describeStreamed(size)
	if size <= w.c.maxObject {
		w.createWriter(size)
	} else {
		w.f.Uncache()
	}
	w.f.Publish(w.meta)
}

// RespondWhole begins a response that is released when it is complete, with up to that
// many parts.
func (w *Fill) RespondWhole(status int, h http.Header, parts int) error {
	w.beginResponse(status, h)
	w.whole = true
	w.tag = sha256.New()
	w.meta.Parts = make([]store.Part, parts)
	w.createWriter(-1)
	w.meta.Parts = w.meta.Parts[:0]
	return nil
}

func refused(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// beginResponse makes the Meta of a response that arrives now. It takes the place of a
// spooled one.
func (w *Fill) beginResponse(status int, h http.Header) {
	if w.spooled {
		w.f.Unspool()
		w.spooled = false
	}
	w.crc = 0
	received := time.Now()
	m := &store.Meta{
		Site: w.storeKey.Site, Key: w.storeKey.ID, PurgeEpoch: w.f.PurgeEpoch, Version: w.c.versions.next(received), From: w.f.Head().From,
		Response: policy.Received(status, h, w.q.Request.Header, w.requested.Add(-w.ago), received.Add(-w.ago)),
	}
	w.meta = m
	kept := policy.Storable(w.q.Rule, w.q.Request, status, h)
	w.f.BeginResponse(status, uncached(h, m.Header), kept, kept && !w.q.Request.Authorized)
}

// uncached are the end-to-end fields of a response that only the first client gets.
func uncached(h, kept http.Header) http.Header {
	var out http.Header
	for name, values := range policy.EndToEnd(h) {
		if _, ok := kept[name]; !ok {
			if out == nil {
				out = make(http.Header)
			}
			out[name] = values
		}
	}
	return out
}

// createWriter opens a writer in the store for a response to be kept, and in any case for one
// that is released whole.
func (w *Fill) createWriter(size int64) {
	if w.f.Head().Kept {
		if wr, err := w.c.store.Create(w.storeKey, w.meta, size); err == nil {
			w.f.SetWriter(wr)
			return
		}
		w.f.Uncache()
	}
	if w.whole {
		w.f.SetOverflow()
	}
}

// Part begins the next representation of a response that is released whole, ending the one
// before. Each gets a strong ETag of its own over its bytes.
func (w *Fill) Part(variant, contentType, encoding string) error {
	w.endPart()
	w.meta.Parts = append(w.meta.Parts, store.Part{Variant: variant, ContentType: contentType, Encoding: encoding, Offset: w.size})
	return nil
}

func (w *Fill) endPart() {
	if len(w.meta.Parts) == 0 {
		return
	}
	p := &w.meta.Parts[len(w.meta.Parts)-1]
	p.Size = w.f.Written() - p.Offset
	p.CRC = w.crc
	w.crc = 0
	w.size += p.Size
	if w.tag != nil {
		p.ETag = `"` + base64.RawURLEncoding.EncodeToString(w.tag.Sum(nil)[:18]) + `"`
		w.tag.Reset()
	}
}

// Write adds bytes to the body. After an error no client can have the body any more.
func (w *Fill) Write(p []byte) (int, error) {
	w.crc = crc32.Update(w.crc, castagnoli, p)
	if w.tag != nil {
		w.tag.Write(p)
	}
	if w.declared >= 0 && w.f.Written()+int64(len(p)) > w.declared && !w.whole {
		return 0, errShort
	}
	return len(p), w.f.Write(p, w.whole, w.c.maxObject)
}

// renew ends in the stored response, freshened (RFC 9111 section 4.3.4). A
// Fetcher that was given the memo may find out by itself that it still holds.
func (w *Fill) renew(h http.Header) error {
	if w.base == nil || w.asked.ETag == "" && w.asked.LastModified == "" && w.asked.Memo == nil {
		return ErrUnasked
	}
	w.base = &store.Entry{Meta: w.freshen(h), Body: w.base.Body}
	w.renewed = true
	w.f.SetStatus(http.StatusNotModified)
	return nil
}

// freshen renews the stored response's Meta. A store that fails to freshen costs another
// validation.
func (w *Fill) freshen(h http.Header) *store.Meta {
	now := time.Now()
	m := *w.base.Meta
	m.Response = w.base.Freshened(h, w.requested.Add(-w.ago), now.Add(-w.ago))
	m.Version, m.PurgeEpoch = w.c.versions.next(now), w.f.PurgeEpoch
	if err := w.c.store.Freshen(w.storeKey, w.base.Version, &m); err != nil && !errors.Is(err, store.ErrGone) {
		w.c.notify("freshen", err)
	}
	return &m
}

// finishFill finishes the flight with the error of Fetch.
func (w *Fill) finishFill(err error) {
	switch {
	case err != nil:
		if cause := context.Cause(w.f.Context); cause == flight.ErrDeserted {
			err = cause // no fault of the origin
		}
		w.f.Fail(err)
	case w.renewed:
		w.f.FinishStored(w.base)
		w.base = nil
	case w.meta == nil:
		w.f.Fail(errors.New("fetch ended without a response"))
	default:
		w.commit()
	}
	w.base.Release()
}

// Interim passes a 1xx response on to the clients that are waiting.
func (w *Fill) Interim(status int, h http.Header) { w.f.Interim(status, h) }

func (w *Fill) commit() {
	if w.q.Request.Method == http.MethodHead {
		w.f.Finish(w.meta)
		return
	}
	if !w.whole && w.declared >= 0 && w.f.Written() != w.declared {
		w.f.Fail(errShort)
		return
	}
	final := *w.meta // readers have w.meta
	final.Parts = slices.Clone(w.meta.Parts)
	w.meta = &final
	w.endPart()
	w.f.Commit(&final)
	w.c.flights.remove(w.f) // only now: a request in between found either the flight or the store
	w.f.Finish(&final)
	if w.committed != nil && w.f.Head().Kept {
		w.committed()
	}
}

// maxMemo is the largest part, in bytes, that a fill holds for its Fetcher.
const maxMemo = 8 << 20

// memo reads the part of a variant of a stored response. It is nil when there is none
// that can be read. A part that is too large counts as none.
func memo(s *store.Entry, variant string) []byte {
	if s == nil || variant == "" {
		return nil
	}
	for _, p := range s.Parts {
		if p.Variant != variant || p.Size > maxMemo {
			continue
		}
		memo := make([]byte, p.Size)
		if n, _ := s.Body.ReadAt(memo, p.Offset); int64(n) == p.Size && crc32.Checksum(memo, castagnoli) == p.CRC {
			return memo
		}
	}
	return nil
}

// versionClock makes Versions that grow, also across restarts. The Version of each stored response
// goes to saw before its replacement gets one, so that no step of the clock makes a new
// response look older than the one it replaces.
type versionClock struct{ last atomic.Uint64 }

func (c *versionClock) next(now time.Time) uint64 {
	for {
		last := c.last.Load()
		next := max(last+1, uint64(now.UnixNano()))
		if c.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

func (c *versionClock) saw(version uint64) {
	for last := c.last.Load(); version > last; last = c.last.Load() {
		if c.last.CompareAndSwap(last, version) {
			return
		}
	}
}
