package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"pkgedge/cache"
	"pkgedge/edge/limit"
	"pkgedge/edge/words"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// charge charges the client as for a hit. It answers, and reports false, when the
// client has spent its budget. There is a limiter.
func (x *exchange) charge() bool {
	wait, ok := x.Limiter.Take(x.client, x.start, limit.Hit)
	if x.Budgets {
		x.tellBudget()
	}
	if !ok {
		x.limited(wait)
	}
	return ok
}

// tellBudget sets the fields of draft-ietf-httpapi-ratelimit-headers-10: the client's burst and
// the seconds in which it fills, the rest of it and the seconds until it is full.
func (x *exchange) tellBudget() {
	b, ok := x.Limiter.Budget(x.client, x.start)
	if !ok {
		return
	}
	h := x.header()
	h["Ratelimit-Policy"] = []string{fmt.Sprintf(`"client";q=%d;w=%d`, b.Burst, b.Window)}
	h["Ratelimit"] = []string{fmt.Sprintf(`"client";r=%d;t=%d`, b.Left, b.Full)}
}

// reserve charges the client for all that a request may cost before a master is asked, so that it
// has no more of them under way than its budget pays for. A refused request costs nothing.
func (x *exchange) reserve(cost int) (wait time.Duration, ok bool) {
	if x.Limiter == nil || x.reserved > 0 {
		return 0, true
	}
	now := time.Now()
	if wait, ok = x.Limiter.Take(x.client, now, cost-limit.Hit); !ok {
		x.Limiter.Charge(x.client, now, -limit.Hit)
		return wait, false
	}
	x.reserved = cost - limit.Hit
	return 0, true
}

// takeMiss charges the client for a request to a master that is not repaid: a write, a
// search. It answers, and reports false, when the client has spent its budget.
func (x *exchange) takeMiss() bool {
	wait, ok := x.reserve(limit.Miss)
	if !ok {
		x.limited(wait)
	}
	return ok
}

// overBudget is the error of a fetch that its client has not enough left for.
type overBudget struct{ wait time.Duration }

func (*overBudget) Error() string { return "the client has spent its budget" }

// chargeFetch charges the client before a fetch of which nothing is stored. A file that a
// stored document lists is known to exist: it costs its bytes alone. There is a limiter.
func (x *exchange) chargeFetch(q *cache.Query) error {
	if x.reserved > 0 || x.listed {
		return nil
	}
	if x.listed = x.route.Class == kind.File && x.site.Listed(x.r.Context(), q); x.listed {
		return nil
	}
	cost := limit.Absent
	if x.site.Kind.Transparent {
		cost = limit.Miss
	}
	if wait, ok := x.reserve(cost); !ok {
		return &overBudget{wait}
	}
	return nil
}

// settle charges the client cost beyond a hit in all, and gives back of the reserved part
// all that is more.
func (x *exchange) settle(cost int) {
	if x.Limiter != nil && cost != x.reserved {
		x.Limiter.Charge(x.client, time.Now(), cost-x.reserved)
	}
	x.reserved = 0
}

// cost is how much an answer costs beyond a hit. later says that its bytes are counted when
// they have been sent: their number is not known yet.
//
// A stored response costs nothing more, also where it is validated on the way, for
// that is for all clients. So does the answer of another request's fetch. A registry's package
// that had to be fetched costs its bytes. A name that does not exist costs much. On a
// transparent site both cost a miss, for its clients make up as many names for it as they like.
func (x *exchange) cost(a *cache.Answer) (cost int, later bool) {
	demanded := x.site.Kind.Transparent && a.Forward != "stale"
	switch {
	case a.Outcome == cache.Revalidated && demanded:
		return limit.Miss - limit.Hit, false
	case a.Outcome != cache.Missed:
		return 0, false
	case a.Status >= http.StatusBadRequest && x.listed:
		return 0, false
	case a.Status >= http.StatusBadRequest && !x.site.Kind.Transparent:
		return limit.Absent - limit.Hit, false
	}
	if demanded || a.Status >= http.StatusBadRequest {
		cost = limit.Miss - limit.Hit
	}
	size := int64(0)
	switch {
	case x.r.Method == http.MethodHead && x.site.Kind.Transparent: // without a body
	case a.Span != nil:
		size = a.Span.Size
	default:
		for _, p := range a.Parts {
			later = later || p.Size < 0
			size = max(size, p.Size)
		}
	}
	return cost + bytesCost(size), later
}

// bytesCost is the cost of bytes from a master.
func bytesCost(n int64) int { return int(n / limit.Fetched) }

// costOfFailure is how much a request without an answer costs beyond a hit. Masters that are
// not asked, or do not answer, cost nothing: clients try again, and need their budgets for
// stored responses. An error that a master answers costs the reserved part, which is nothing for
// one that waited for another's fetch.
func (x *exchange) costOfFailure(err error) int {
	answered := (*origin.StatusError)(nil)
	switch {
	case x.r.Context().Err() != nil: // the client left, and the fetch goes on
		return x.reserved
	case x.listed, !errors.As(words.Last(err), &answered), x.upstream.Outage(x.route.Class, time.Now()) > 0:
		return 0
	}
	return x.reserved
}

// ceilingRetry is the time that clients are told to wait where too much is under way.
const ceilingRetry = 2 * time.Second

// errManyMisses is the error of a fetch whose client has its share of them under way.
var errManyMisses = errors.New("the client has too many misses under way")

// enterBody counts a request that has a body.
func (x *exchange) enterBody() limit.Verdict {
	// net/http reads the rest of a body that no handler has read, and has no deadline for it.
	_ = x.control.SetReadDeadline(x.start.Add(stallLimit))
	return x.places.Enter(&x.handler.Ceilings.Bodies, x.client)
}

// overCeiling answers where too many requests are under way.
func (x *exchange) overCeiling(verdict limit.Verdict) {
	if verdict == limit.FullOfOwn {
		x.limited(ceilingRetry)
		return
	}
	x.header().Set("Retry-After", strconv.Itoa(int(ceilingRetry/time.Second)))
	x.header().Set("Proxy-Status", "edge; error=connection_limit_reached")
	x.refuse(cache.Limited, http.StatusServiceUnavailable, "this edge answers too many requests at a time: wait and try again")
}
