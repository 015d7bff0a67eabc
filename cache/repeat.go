package cache

import (
	"sync/atomic"
	"time"
	"weak"

	"pkgedge/cache/disk"
	"pkgedge/cache/memory"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// Repeat finds the stored response of a hit again, without a look-up, for as long as a
// look-up for the same query would find it fresh. It keeps the response neither in memory nor
// open. It is safe for concurrent use.
type Repeat struct {
	cache    *Cache
	key      store.Key
	rule     policy.Rule
	request  policy.Request // without a demand of its own
	version  uint64
	resident weak.Pointer[memory.Resident] // or file
	file     weak.Pointer[disk.File]
	part     store.Part

	unpurged atomic.Uint64 // the newest purge known, which does not cover the response
	touched  atomic.Int64  // the second of the last look-up
	sent     atomic.Int64  // the second in which all of the body was last read, see Sent
}

// Repeat returns the hit's Repeat. It is nil where the answer is none that all clients may
// have, or its bytes are unchecked.
func (c *Cache) Repeat(q *Query, a *Answer) *Repeat {
	if a.Outcome != Hit || a.Stored == nil || len(a.Vary) > 0 || a.Span != nil ||
		q.Request.Owner != "" || q.Request.Authorized || q.Request.Validate || len(q.Request.Ranges) > 0 {
		return nil
	}
	r := &Repeat{
		cache: c, key: q.Key, rule: q.Rule, request: policy.Request{Method: q.Request.Method, Control: policy.NoDirectives()},
		version: a.Version, part: a.Part,
	}
	switch body := a.Stored.Body.(type) {
	case *memory.Resident:
		r.resident = weak.Make(body)
	case *disk.Entry:
		f := body.Verified()
		if f == nil {
			return nil
		}
		r.file = weak.Make(f)
	default:
		return nil
	}
	return r
}

// Found is a stored response that a Repeat has found. Its body is in memory, or in a file
// that the caller closes.
type Found struct {
	*store.Meta
	Body     []byte     // immutable
	File     *disk.File // nil where the body is in memory
	Part     store.Part
	Recent   bool // all of the file was read a moment ago
	TTL, Age time.Duration
}

// recent is how long, in seconds, the system is expected to have a file in memory that was
// read.
const recent = 2

// Get returns the response, unless only a look-up can tell. Once a second it makes one, so
// that the tiers know that the response is in use, and that a file is looked at.
func (r *Repeat) Get(now time.Time) (found Found, ok bool) {
	found.Part = r.part
	if resident := r.resident.Value(); resident != nil {
		if !resident.Current() {
			return found, false
		}
		found.Meta, found.Body = resident.Meta, resident.Data[r.part.Offset:r.part.Offset+r.part.Size]
	} else {
		f := r.file.Value()
		if f == nil || !f.Current() || !f.Use() {
			return found, false
		}
		found.Meta, found.File, found.Recent = f.Stored(), f, now.Unix()-r.sent.Load() <= recent
	}
	if !r.mayGive(found.Meta, now) {
		if found.File != nil {
			found.File.Close()
		}
		return found, false
	}
	found.TTL, found.Age = found.Meta.TTL(now, r.rule), found.Meta.Age(now)
	return found, true
}

// mayGive reports whether a look-up would find the response, and give it.
func (r *Repeat) mayGive(m *store.Meta, now time.Time) bool {
	if newest := r.cache.purges.Newest.Load(); r.unpurged.Load() != newest {
		if m.PurgeEpoch < newest && r.cache.purges.Mark(purgeKey(r.key, m), m.PurgeEpoch) != policy.NotMarked {
			return false
		}
		r.unpurged.Store(newest)
	}
	if policy.Decide(now, &m.Response, policy.NotMarked, r.rule, r.request) != policy.Fresh {
		return false
	}
	if second := now.Unix(); r.touched.Load() != second {
		r.touched.Store(second)
		s := r.cache.store.Get(r.key)
		defer s.Release()
		return s != nil && s.Version == r.version
	}
	return true
}

// Sent records that all of the body was read at now.
func (r *Repeat) Sent(now time.Time) {
	if second := now.Unix(); r.sent.Load() != second {
		r.sent.Store(second)
	}
}
