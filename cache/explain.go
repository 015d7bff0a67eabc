package cache

import (
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// Explanation says how a query would be answered at one moment.
type Explanation struct {
	Stored   *store.Meta // nil where nothing usable is stored
	InMemory bool
	OnDisk   bool
	Mark     policy.Mark    // of a purge
	Verdict  policy.Verdict // of policy.Decide
	OnError  policy.Verdict // of policy.DecideOnError, if the origin failed
	Age, TTL time.Duration  // of Stored; the TTL is below zero for a stale one
	Fetching bool           // a fetch for the key is under way
}

// Explain says how q would be answered now. Nothing is fetched and nothing counted; the
// look at the stored response may bring it into memory, as a request would.
func (c *Cache) Explain(q *Query) Explanation {
	now := time.Now()
	s, mark, storeKey := c.lookup(q)
	defer s.Release()
	sum := storeKey.Sum()
	e := Explanation{Mark: mark, InMemory: c.memory.Has(sum), OnDisk: c.disk != nil && c.disk.Has(sum), Fetching: c.flights.fills(q.Key)}
	e.Verdict = policy.Decide(now, s.Policy(), mark, q.Rule, q.Request)
	e.OnError = policy.DecideOnError(now, s.Policy(), mark, q.Rule, q.Request)
	if s != nil {
		e.Stored, e.Age, e.TTL = s.Meta, s.Age(now), s.TTL(now, q.Rule)
	}
	return e
}
