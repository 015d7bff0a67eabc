package cache

import (
	"pkgedge/cache/store"
)

// Holds says whether a response for k is stored, in any tier, or being fetched:
// whether a purge of k has anything to cover. It is for those who hear of far more
// changes than are stored here, and it may say yes for too much, never no for too
// little. It does not know of responses stored beside k, for other values of what
// Vary names or for one owner alone.
//
// A fill that began before a change may hold the older response and not be visible
// yet, so it must be seen here. It is: a fill is counted from the moment that it
// gets its place in the purge sequence until after its response is in the store.
// What is neither counted nor, looked up after that, stored has not begun, and will
// ask the origin only after the change was told:
//
//	fill:   begins, counted   asks the origin      commits    not counted any more
//	change:                 ^ counted            ^ counted  ^ both    ^ stored
//
// A response also moves between the tiers, and may leave the one that it comes from
// at any moment. While it is copied memory has it, and a copy that begins when the
// response has left is not made. So what moves from memory to disk is seen by the
// first look at memory, or is on disk by then; what moves from disk to memory is
// seen on disk, or by the second look at memory.
func (c *Cache) Holds(k store.Key) bool {
	if c.flights.fills(k) {
		return true
	}
	sum := k.Sum()
	return c.memory.Has(sum) || c.disk != nil && (c.disk.Has(sum) || c.memory.Has(sum))
}
