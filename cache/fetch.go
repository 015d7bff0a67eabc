package cache

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"pkgedge/cache/flight"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// admitted is fetch, for a query that may begin one. A request that joins a flight asks the
// origin nothing. One that finds the flight ended begins another without being admitted, which its outcome
// tells.
func (c *Cache) admitted(ctx context.Context, q *Query, storeKey store.Key, uncollapsible bool, why policy.Verdict, softTimeout time.Duration) (Answer, error) {
	if unknown := why == policy.Miss || why == policy.Complete; unknown && q.Admit != nil && (uncollapsible || !c.flights.fills(storeKey)) {
		if err := q.Admit(); err != nil {
			return Answer{}, err
		}
	}
	return c.fetch(ctx, q, storeKey, uncollapsible, why, softTimeout)
}

// fetch joins the key's flight, or starts it. With a soft timeout it waits until the flight
// is that old, so that later requests wait less, or not at all.
func (c *Cache) fetch(ctx context.Context, q *Query, storeKey store.Key, uncollapsible bool, why policy.Verdict, softTimeout time.Duration) (Answer, error) {
	f, r, leader, err := c.join(q, storeKey, uncollapsible, why)
	if err != nil {
		return Answer{}, err
	}
	wait := ctx
	if softTimeout > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithDeadlineCause(ctx, f.Begun.Add(softTimeout), ErrSoftTimeout)
		defer cancel()
	}
	if err = f.Await(wait, q.passInterim); err == nil {
		var a Answer
		if a, err = answer(f, q, r, leader, time.Now()); err == nil {
			return a, nil
		}
	}
	r.Close()
	return Answer{}, err
}

// join returns the flight to wait for and a reader of it. After a validation that failed a
// moment ago it returns that error: the stored response is as good as it was, and failing
// masters must not be asked at the rate of the requests.
func (c *Cache) join(q *Query, storeKey store.Key, uncollapsible bool, why policy.Verdict) (f *flight.Flight, r *flight.Reader, leader bool, err error) {
	if f, r, leader, err = c.joinOrCount(q, storeKey, uncollapsible, why); leader {
		c.startFill(f, q, storeKey)
	}
	return f, r, leader, err
}

// joinOrCount is join, but the caller starts the fill of a flight that it leads.
func (c *Cache) joinOrCount(q *Query, storeKey store.Key, uncollapsible bool, why policy.Verdict) (f *flight.Flight, r *flight.Reader, leader bool, err error) {
	s := c.flights.shard(storeKey.Site, storeKey.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, false, ErrClosed
	}
	id := flight.Key{Site: storeKey.Site, ID: storeKey.ID}
	for _, part := range []string{"", q.rangeKey()} { // a fill of the whole serves for a part of it
		id.Part = part
		if f = s.joined[id]; f == nil || uncollapsible || c.purged(f, q.Key) {
			continue
		}
		if err := f.Err(); err != nil && (why == policy.Validate || why == policy.ValidateFirst) && !errors.Is(err, flight.ErrDeserted) {
			return nil, nil, false, fmt.Errorf("%w: %w", errCooling, err)
		}
		if !mayJoin(f, q) {
			continue
		}
		if r, ok := f.Join(); ok {
			return f, r, false, nil
		}
	}
	f = c.newFlight(s, id, uncollapsible)
	r, _ = f.Join() // before the fill, which may fail at once
	return f, r, true, nil
}

// rangeKey names the range of a flight that fetches only the request's range.
func (q *Query) rangeKey() string {
	if len(q.Request.Ranges) == 0 {
		return ""
	}
	return q.Request.Header.Get("Range") + "\x00" + q.Request.Header.Get("If-Range")
}

// refresh starts a validation in the background, unless one is under way.
func (c *Cache) refresh(q *Query, storeKey store.Key) {
	id := flight.Key{Site: storeKey.Site, ID: storeKey.ID}
	s := c.flights.shard(id.Site, id.ID)
	s.mu.Lock()
	f := s.joined[id]
	if s.closed || f != nil && !c.purged(f, q.Key) {
		s.mu.Unlock()
		return
	}
	f = c.newFlight(s, id, false)
	s.mu.Unlock()
	c.startFill(f, q, storeKey)
}

// purged reports whether a purge since the flight began covers its response, or may cover
// it. A 404 for a file counts as metadata of its group, see lookup, so that a request after a
// publish does not join a flight that brings the old 404. Before the status is known, each
// such purge costs a file one more fetch.
func (c *Cache) purged(f *flight.Flight, k store.Key) bool {
	k.Metadata = k.Metadata || mayBeMissing(f)
	return c.purges.Mark(k, f.PurgeEpoch) != policy.NotMarked
}

// newFlight makes a flight and counts its fill, which the caller starts. s.mu is held.
// The flight is counted from the moment that it reads the purge sequence, see Contains. Close
// waits for each flight that was counted before s was closed.
func (c *Cache) newFlight(s *flightShard, id flight.Key, uncollapsible bool) *flight.Flight {
	f := flight.New(c.base, id, c.purges.Now.Load(), c.memory.Buffers, c.memory.Overflow)
	if !uncollapsible {
		s.joined[id] = f
	}
	s.filling[id.Whole()]++
	c.wg.Add(1)
	return f
}

// startFill starts a flight's fill. No lock is held.
func (c *Cache) startFill(f *flight.Flight, q *Query, storeKey store.Key) {
	own := *q // the fill may outlive the client's query
	go func() {
		defer c.wg.Done()
		defer c.flights.fillDone(f)
		c.fill(f, &own, storeKey)
	}()
}

// fill is the life of a flight. It looks the response up once more, because
// between the look-up that missed and the flight's beginning another flight may
// have ended:
//
//	A: misses            joins flight 1          flight 1 commits, ends
//	B:          misses                                                  begins flight 2
func (c *Cache) fill(f *flight.Flight, q *Query, storeKey store.Key) {
	defer f.Drop() // last, so that no client waits for a file to be closed
	defer f.Cancel(nil)
	defer func() {
		if f.Err() != nil {
			time.AfterFunc(cooling, func() { c.flights.remove(f) })
			return
		}
		c.flights.remove(f)
	}()
	w := &Fill{c: c, f: f, q: q, storeKey: storeKey, declared: -1, requested: time.Now()}
	var found store.Key
	w.base, w.mark, found = c.lookup(q)
	why := policy.Decide(w.requested, w.base.Policy(), w.mark, q.Rule, q.Request)
	if why == policy.Fresh {
		f.FinishStored(w.base)
		return
	}
	f.SetReason(q.forwardReason(w.requested, w.base.Policy(), w.mark, found))
	w.asked = requestFor(why, w.base.Policy(), &q.Request)
	w.asked.Stale = q.mayServeStaleOnError(w.requested, w.base.Policy(), w.mark)
	w.asked.Client = q.Client
	w.asked.Memo = memo(w.base, q.Memo)
	w.finishFill(c.fetchSafely(f.Context, q.Fetcher, w.asked, w))
}

// requestFor makes the request to the origin.
func requestFor(why policy.Verdict, r *policy.Response, q *policy.Request) FetchRequest {
	a := FetchRequest{Header: q.Header, Head: q.Method == http.MethodHead}
	switch {
	case a.Head:
	case r == nil, why == policy.Complete && len(q.Ranges) > 0:
		if len(q.Ranges) > 0 {
			a.Range, a.IfRange = q.Header.Get("Range"), q.Header.Get("If-Range")
		}
	case why == policy.Complete: // the client wants the whole, and the store has its beginning
		if tag := policy.StrongTag(r.Header); tag != "" && r.Span.First == 0 {
			a.Range, a.IfRange = "bytes="+strconv.FormatInt(r.Span.Size, 10)+"-", tag
		}
	default:
		a.ETag, a.LastModified = r.Validators()
	}
	return a
}

// fetchSafely turns a Fetcher's panic into an error, so that waiting requests end.
func (c *Cache) fetchSafely(ctx context.Context, fetcher Fetcher, ask FetchRequest, w *Fill) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a fetch: %v", p)
			c.notify("fetch", err)
		}
	}()
	return fetcher.Fetch(ctx, ask, w)
}

// passInterim passes an interim response on.
func (q *Query) passInterim(status int, h map[string][]string) {
	if q.Interim != nil {
		q.Interim(status, h)
	}
}

// flights has the fetches under way, in shards by the hash of their keys: requests for one
// key meet in its shard, and requests for two keys rarely do.
type flights struct {
	seed   maphash.Seed
	shards [64]flightShard
}

// flightShard is one shard. Under its mu only a Flight's own lock is taken, and nothing of
// another package but flight and purge is called.
type flightShard struct {
	mu      sync.Mutex
	joined  map[flight.Key]*flight.Flight // those that requests can join
	filling map[flight.Key]int            // fills under way, also those for one client alone
	closed  bool

	_ [32]byte // two shards stand on two lines
}

func newFlights() *flights {
	fs := &flights{seed: maphash.MakeSeed()}
	for i := range fs.shards {
		fs.shards[i].joined, fs.shards[i].filling = make(map[flight.Key]*flight.Flight), make(map[flight.Key]int)
	}
	return fs
}

// shard returns the shard of a key. All parts of a key share it.
func (fs *flights) shard(site, id string) *flightShard {
	h := maphash.String(fs.seed, id) ^ maphash.String(fs.seed, site)
	return &fs.shards[h%uint64(len(fs.shards))]
}

// close prevents new flights.
func (fs *flights) close() {
	for i := range fs.shards {
		s := &fs.shards[i]
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
	}
}

// fills says whether a response for the key is being fetched.
func (fs *flights) fills(k store.Key) bool {
	s := fs.shard(k.Site, k.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.filling[flight.Key{Site: k.Site, ID: k.ID}] > 0
}

// keys are the keys that fills are under way for.
func (s *flightShard) keys() []flight.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.filling))
}

// fillDone ends the count of a fill.
func (fs *flights) fillDone(f *flight.Flight) {
	s := fs.shard(f.Key.Site, f.Key.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	id := f.Key.Whole()
	if s.filling[id]--; s.filling[id] == 0 {
		delete(s.filling, id)
	}
}

// remove takes a flight out of the map; a newer one for the same key stays.
func (fs *flights) remove(f *flight.Flight) {
	s := fs.shard(f.Key.Site, f.Key.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joined[f.Key] == f {
		delete(s.joined, f.Key)
	}
}

// count is how many flights can be joined, and for how many keys fills are under way.
func (fs *flights) count() (joined, filling int) {
	for i := range fs.shards {
		s := &fs.shards[i]
		s.mu.Lock()
		joined += len(s.joined)
		filling += len(s.filling)
		s.mu.Unlock()
	}
	return joined, filling
}
