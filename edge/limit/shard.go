package limit

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// oldest is how many of the clients not seen for longest are compared when a
// slot must be given up.
const oldest = 8

// shard is one part of the table: slots by client, and a ring of them in order
// of last use.
type shard struct {
	mu    sync.Mutex
	slots map[netip.Addr]*slot
	limit int
	ring  slot // ring.next was used last, ring.prev longest ago
}

// slot is one client's place.
type slot struct {
	client     netip.Addr
	budget     *rate.Limiter
	prev, next *slot
}

func (s *shard) init(limit int) {
	s.slots = make(map[netip.Addr]*slot)
	s.limit = limit
	s.ring.prev, s.ring.next = &s.ring, &s.ring
}

// let returns the slot of client, giving it one if it has none. The caller
// holds mu.
func (s *shard) let(client netip.Addr, now time.Time, l *Limiter) *slot {
	at, known := s.slots[client]
	switch {
	case known:
		at.unlink()
	case len(s.slots) < s.limit:
		at = &slot{client: client, budget: rate.NewLimiter(l.rate, l.burst)}
		s.slots[client] = at
	default:
		at = s.richest(now)
		at.unlink()
		delete(s.slots, at.client)
		at.client = client // and the budget stays as it is: see the package comment
		s.slots[client] = at
	}
	s.ring.push(at)
	return at
}

// richest is the slot with most tokens among the few that were not used for
// longest.
func (s *shard) richest(now time.Time) *slot {
	best := s.ring.prev
	most := best.budget.TokensAt(now)
	for n, at := 1, best.prev; n < oldest && at != &s.ring; n, at = n+1, at.prev {
		if tokens := at.budget.TokensAt(now); tokens > most {
			best, most = at, tokens
		}
	}
	return best
}

func (r *slot) push(at *slot) {
	at.prev, at.next = r, r.next
	r.next.prev = at
	r.next = at
}

func (at *slot) unlink() {
	at.prev.next = at.next
	at.next.prev = at.prev
}
