package cache

import (
	"sync/atomic"
	"time"
	"weak"

	"pkgedge/cache/memory"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// Repeat finds the stored response of a hit again, without a look-up, for as long as a
// look-up for the same query would find it fresh. It does not keep the response in memory.
// It is safe for concurrent use.
type Repeat struct {
	cache    *Cache
	key      store.Key
	rule     policy.Rule
	request  policy.Request // without a demand of its own
	version  uint64
	resident weak.Pointer[memory.Resident]
	part     store.Part

	unpurged atomic.Uint64 // the newest purge known, which does not cover the response
	touched  atomic.Int64  // the second of the last look-up
}

// Repeat returns the hit's Repeat. It is nil where the answer is none that all clients may
// have, or is not in memory.
func (c *Cache) Repeat(q *Query, a *Answer) *Repeat {
	if a.Outcome != Hit || a.Stored == nil || len(a.Vary) > 0 || a.Span != nil ||
		q.Request.Owner != "" || q.Request.Authorized || q.Request.Validate || len(q.Request.Ranges) > 0 {
		return nil
	}
	resident, ok := a.Stored.Body.(*memory.Resident)
	if !ok {
		return nil
	}
	return &Repeat{
		cache: c, key: q.Key, rule: q.Rule, request: policy.Request{Method: q.Request.Method, Control: policy.NoDirectives()},
		version: a.Version, resident: weak.Make(resident), part: a.Part,
	}
}

// Found is a stored response that a Repeat has found.
type Found struct {
	*store.Meta
	Body     []byte // immutable
	TTL, Age time.Duration
}

// Get returns the response, unless only a look-up can tell. Once a second it makes one, so
// that the tiers know that the response is in use.
func (r *Repeat) Get(now time.Time) (Found, bool) {
	resident := r.resident.Value()
	if resident == nil || !resident.Current() {
		return Found{}, false
	}
	m := resident.Meta
	if newest := r.cache.purges.Newest.Load(); r.unpurged.Load() != newest {
		if m.PurgeEpoch < newest && r.cache.purges.Mark(purgeKey(r.key, m), m.PurgeEpoch) != policy.NotMarked {
			return Found{}, false
		}
		r.unpurged.Store(newest)
	}
	if policy.Decide(now, &m.Response, policy.NotMarked, r.rule, r.request) != policy.Fresh {
		return Found{}, false
	}
	if second := now.Unix(); r.touched.Load() != second {
		r.touched.Store(second)
		s := r.cache.store.Get(r.key)
		defer s.Release()
		if s == nil || s.Version != r.version {
			return Found{}, false
		}
	}
	body := resident.Data[r.part.Offset : r.part.Offset+r.part.Size]
	return Found{m, body, m.TTL(now, r.rule), m.Age(now)}, true
}
