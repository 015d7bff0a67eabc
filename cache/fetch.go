package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"pkgedge/cache/flight"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// fetch joins the key's flight, or begins it. With a soft timeout it waits until
// the flight is that old: requests that come later wait less, or not at all.
func (c *Cache) fetch(ctx context.Context, q *Query, place store.Key, alone bool, why policy.Verdict, softTimeout time.Duration) (*Answer, error) {
	f, r, leader, err := c.join(q, place, alone, why)
	if err != nil {
		return nil, err
	}
	wait := ctx
	if softTimeout > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithDeadlineCause(ctx, f.Begun.Add(softTimeout), ErrSoftTimeout)
		defer cancel()
	}
	if err = f.Await(wait, q.tell); err == nil {
		var a *Answer
		if a, err = answer(f, q, r, leader, time.Now()); err == nil {
			return a, nil
		}
	}
	r.Close()
	return nil, err
}

// join returns the flight to wait for and a place in it. Where a validation
// failed a moment ago its error is the answer: the stored response is as good
// as it was, and masters in trouble are not asked at the rate of the requests.
func (c *Cache) join(q *Query, place store.Key, alone bool, why policy.Verdict) (f *flight.Flight, r *flight.Reader, leader bool, err error) {
	if f, r, leader, err = c.joinOrCount(q, place, alone, why); leader {
		c.begin(f, q, place)
	}
	return f, r, leader, err
}

// joinOrCount is join, but that the caller begins the fill of a flight that it leads.
func (c *Cache) joinOrCount(q *Query, place store.Key, alone bool, why policy.Verdict) (f *flight.Flight, r *flight.Reader, leader bool, err error) {
	s := c.flights.shard(place.Site, place.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, false, ErrClosed
	}
	id := flight.Key{Site: place.Site, ID: place.ID}
	for _, part := range []string{"", q.span()} { // a fill of the whole serves for a part of it
		id.Part = part
		if f = s.joined[id]; f == nil || alone || c.purged(f, q.Key) {
			continue
		}
		if err := f.Err(); err != nil && why == policy.Validate && !errors.Is(err, flight.ErrDeserted) {
			return nil, nil, false, fmt.Errorf("%w: %w", errCooling, err)
		}
		if !takes(f, q) {
			continue
		}
		if r, ok := f.Join(); ok {
			return f, r, false, nil
		}
	}
	f = c.flight(s, id, alone)
	r, _ = f.Join() // before the fill, which may fail at once
	return f, r, true, nil
}

// span names the range that is fetched for this request by itself.
func (q *Query) span() string {
	if len(q.Request.Ranges) == 0 {
		return ""
	}
	return q.Request.Header.Get("Range") + "\x00" + q.Request.Header.Get("If-Range")
}

// refresh validates in the background, unless that is under way.
func (c *Cache) refresh(q *Query, place store.Key) {
	id := flight.Key{Site: place.Site, ID: place.ID}
	s := c.flights.shard(id.Site, id.ID)
	s.mu.Lock()
	f := s.joined[id]
	if s.closed || f != nil && !c.purged(f, q.Key) {
		s.mu.Unlock()
		return
	}
	f = c.flight(s, id, false)
	s.mu.Unlock()
	c.begin(f, q, place)
}

// purged says that a purge since the flight began covers what it fetches, or may
// cover it: that a file is missing is the group's metadata, see lookup, and a
// publish must not be answered with the 404 that was on its way before. While the
// status is not known that costs a file one more fetch for each such purge.
func (c *Cache) purged(f *flight.Flight, k store.Key) bool {
	k.Metadata = k.Metadata || mayBeMissing(f)
	return c.purges.Mark(k, f.Born) != policy.NotMarked
}

// flight makes a flight and counts its fill, which the caller begins. s.mu is held: a
// flight is counted from the moment that it gets its place in the purge sequence, see
// Holds, and Close waits for each that is counted before it closed s.
func (c *Cache) flight(s *flightShard, id flight.Key, alone bool) *flight.Flight {
	f := flight.New(c.base, id, c.purges.Now(), c.memory.Buffers, c.memory.Overflow)
	if !alone {
		s.joined[id] = f
	}
	s.filling[id.Whole()]++
	c.wg.Add(1)
	return f
}

// begin starts a flight's fill. No lock is held.
func (c *Cache) begin(f *flight.Flight, q *Query, place store.Key) {
	own := *q // the client's may be gone before the fill is
	go func() {
		defer c.wg.Done()
		defer c.flights.filled(f)
		c.fill(f, &own, place)
	}()
}

// fill is the life of a flight. It looks the response up once more, because
// between the look-up that missed and the flight's beginning another flight may
// have ended:
//
//	A: misses            joins flight 1          flight 1 commits, ends
//	B:          misses                                                  begins flight 2
func (c *Cache) fill(f *flight.Flight, q *Query, place store.Key) {
	defer f.Drop() // last: nobody waits for a file to be closed
	defer f.Cancel(nil)
	defer func() {
		if f.Err() != nil {
			time.AfterFunc(cooling, func() { c.flights.drop(f) })
			return
		}
		c.flights.drop(f)
	}()
	w := &Fill{c: c, f: f, q: q, place: place, declared: -1, requested: time.Now()}
	var found store.Key
	w.base, w.mark, found = c.lookup(q)
	why := policy.Decide(w.requested, w.base.Policy(), w.mark, q.Rule, q.Request)
	if why == policy.Fresh {
		f.FinishStored(w.base)
		return
	}
	f.SetReason(q.reason(w.requested, w.base.Policy(), w.mark, found))
	w.asked = ask(why, w.base.Policy(), &q.Request)
	w.asked.Stale = q.standIn(w.requested, w.base.Policy(), w.mark)
	w.asked.Memo = memo(w.base, q.Memo)
	w.end(c.safely(f.Context, q.Fetcher, w.asked, w))
}

// ask says what is wanted of the origin.
func ask(why policy.Verdict, r *policy.Response, q *policy.Request) Ask {
	a := Ask{Header: q.Header, Head: q.Method == http.MethodHead}
	switch {
	case a.Head:
	case r == nil, why == policy.Complete && len(q.Ranges) > 0:
		if len(q.Ranges) > 0 {
			a.Range, a.IfRange = q.Header.Get("Range"), q.Header.Get("If-Range")
		}
	case why == policy.Complete: // the whole is wanted, and its beginning is here
		if tag := policy.StrongTag(r.Header); tag != "" && r.Span.First == 0 {
			a.Range, a.IfRange = "bytes="+strconv.FormatInt(r.Span.Size, 10)+"-", tag
		}
	default:
		a.ETag, a.LastModified = r.Header.Get("ETag"), r.Header.Get("Last-Modified")
	}
	return a
}

// safely turns a Fetcher's panic into an error: those who wait must not wait
// for ever.
func (c *Cache) safely(ctx context.Context, fetcher Fetcher, ask Ask, w *Fill) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a fetch: %v", p)
			c.notify("fetch", err)
		}
	}()
	return fetcher.Fetch(ctx, ask, w)
}

// tell passes an interim response on.
func (q *Query) tell(status int, h map[string][]string) {
	if q.Interim != nil {
		q.Interim(status, h)
	}
}
