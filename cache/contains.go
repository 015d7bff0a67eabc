package cache

import (
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// Peek returns the stored response that q selects, of any age, if no purge covers it. Nothing
// is fetched.
func (c *Cache) Peek(q *Query) (Answer, bool) {
	s, mark, _ := c.lookup(q)
	if s == nil || mark != policy.NotMarked {
		s.Release()
		return Answer{}, false
	}
	a, err := c.serve(q, s, Hit, time.Now())
	return a, err == nil
}

// Contains reports whether a response for k is stored in any tier, or being fetched: whether a
// purge of k would cover anything. A change feed brings far more changes than responses are
// stored. Contains may be true for too much, and is never false for too little. It does not see
// the responses of other Vary values, nor those of one owner alone.
//
// A fill that began before a change may bring the older response, which is not stored yet.
// Contains sees it: a fill is counted from the moment that it reads the purge sequence until
// its response is in the store. A fill that is neither counted nor, by the later look-up,
// stored has not begun, and will ask the origin after the change:
//
//	fill:   begins, counted   asks the origin      commits    not counted any more
//	change:                 ^ counted            ^ counted  ^ both    ^ stored
//
// A response is also copied between the tiers, and may leave its source at any moment.
// During a copy memory.Has is true, and a copy of a response that has left is not made. So
// the first look at memory sees a copy to disk, or the disk has it by then. The look at the
// disk sees the source of a copy to memory, or the second look at memory sees the copy.
func (c *Cache) Contains(k store.Key) bool {
	if c.flights.fills(k) {
		return true
	}
	sum := k.Sum()
	return c.memory.Has(sum) || c.disk != nil && (c.disk.Has(sum) || c.memory.Has(sum))
}
