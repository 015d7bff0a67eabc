package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/cache/budget"
	"pkgedge/cache/disk"
	"pkgedge/cache/fsys"
	"pkgedge/cache/memory"
	"pkgedge/cache/policy"
	"pkgedge/cache/purge"
	"pkgedge/cache/store"
	"pkgedge/cache/tier"
)

// Config says how large a cache is and where it lives.
type Config struct {
	Memory    int64  // bytes for the whole process, see budget.Split
	Disk      int64  // bytes of the disk tier; 0 for none
	Dir       string // the disk tier's directory, which it owns
	MaxObject int64  // bytes; larger bodies pass through uncached

	// calls are the file system's, for a test that makes some fail. nil means the real
	// ones.
	calls *fsys.Calls

	// Notify is called with each failure that costs speed and no answer: an unreadable
	// file, a full disk. It may be nil. It must not block.
	Notify func(op string, err error)
}

// Cache is a shared HTTP cache (RFC 9111) in which concurrent misses for one
// key make one fetch. It is safe for concurrent use.
//
// Lock order: a shard of flights, then the mu of a Flight. mu stands alone. None of them
// is held while a store or a Fetcher is called, and a hit takes none.
type Cache struct {
	store     store.Store
	memory    *memory.Store
	disk      *disk.Store
	purges    *purge.Sequence
	versions  versionClock
	maxObject int64
	notify    func(string, error)

	base context.Context // of every fill
	stop context.CancelCauseFunc
	wg   sync.WaitGroup // fills, the scan, and the work of background

	caring  sync.WaitGroup     // the scan and the scrubber of the disk tier
	care    context.CancelFunc // ends them
	forward atomic.Pointer[func(...purge.Purge) error]

	flights *flights

	mu     sync.Mutex
	closed bool // acquire gives no more
}

// cooling is the time in which a failed flight keeps further validations of its key from
// the origin.
const cooling = time.Second

var (
	// ErrUnavailable reports that the client forbade a fetch, and no stored response
	// answers.
	ErrUnavailable = errors.New("only-if-cached, and nothing usable is stored")
	// errCooling reports that the origin was not asked, because it failed a moment ago.
	errCooling = errors.New("not tried again yet")
	// ErrSoftTimeout is an Answer's Err when the origin has not answered within
	// Query.SoftTimeout. The fetch goes on.
	ErrSoftTimeout = errors.New("no answer yet")
	// ErrNotAsked may be wrapped by a Fetcher's error: the origin was not asked,
	// for reasons of our own, such as too many requests.
	ErrNotAsked = errors.New("origin not asked")
	// ErrInUse: another process has the directory.
	ErrInUse = disk.ErrInUse
	// ErrClosed: the cache has been closed.
	ErrClosed = errors.New("cache is closed")
)

// Open makes a cache. An unusable directory is an error here, and never later.
func Open(cfg Config) (*Cache, error) {
	c := &Cache{maxObject: cfg.MaxObject, notify: cfg.Notify, flights: newFlights()}
	if c.notify == nil {
		c.notify = func(string, error) {}
	}
	calls := fsys.System()
	if cfg.calls != nil {
		calls = *cfg.calls
	}
	c.base, c.stop = context.WithCancelCause(context.Background())
	var caring context.Context
	caring, c.care = context.WithCancel(c.base)
	var err error
	shares := budget.Split(cfg.Memory)
	if c.memory, err = memory.New(shares, c.indexOverhead); err != nil {
		return nil, fmt.Errorf("cannot make the memory tier: %w", err)
	}
	c.store = c.memory
	dir := ""
	if cfg.Disk > 0 {
		if c.disk, err = disk.Open(disk.Config{
			Sys: calls, Dir: cfg.Dir, Limit: cfg.Disk, MaxFiles: shares.Files(), Buffers: c.memory.Buffers, Notify: c.notify,
			Remade: func() error { return c.purges.Restore() },
		}); err != nil {
			c.memory.Close()
			return nil, err
		}
		c.disk.KeepOpen(shares.OpenFiles())
		c.store = &tier.Store{Memory: c.memory, Disk: c.disk, Background: c.background}
		dir = cfg.Dir
	}
	if c.purges, err = purge.Open(calls, dir); err != nil {
		c.memory.Close()
		if c.disk != nil {
			c.disk.Close()
		}
		return nil, err
	}
	if c.disk != nil {
		c.wg.Add(1)
		c.caring.Go(func() {
			defer c.wg.Done()
			c.disk.Scan(caring.Done())
		})
		c.caring.Go(func() { c.disk.Scrub(caring.Done()) })
	}
	return c, nil
}

// indexOverhead is the memory of the disk tier's index and of its open files, in bytes.
func (c *Cache) indexOverhead() int64 {
	if c.disk == nil {
		return 0
	}
	return budget.IndexEntry*c.disk.Index.Count.Load() + c.disk.OpenBytes()
}

// background starts work that Close waits for, unless the cache is closed.
func (c *Cache) background(work func()) bool {
	if !c.acquire() {
		return false
	}
	go func() {
		defer c.wg.Done()
		work()
	}()
	return true
}

// acquire has Close wait for the caller, until wg.Done. It is false once the cache is closed.
func (c *Cache) acquire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.wg.Add(1)
	}
	return !c.closed
}

// Close ends the fills under way and waits for them. No Get may come after.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.flights.close()
	c.stop(ErrClosed)
	c.wg.Wait()
	c.caring.Wait()
	c.memory.Close()
	return c.leave()
}

// leave leaves the directory to the next process.
func (c *Cache) leave() error {
	if c.disk != nil {
		return errors.Join(c.purges.Close(), c.disk.Close())
	}
	return c.purges.Close()
}

// Release leaves the directory to another process, which answers requests from now on. The
// requests of this one go on: stored files are read, and new responses are kept in memory
// alone. Forward comes first, so that the other process hears of each purge.
func (c *Cache) Release() error {
	c.care()
	c.caring.Wait()
	return c.leave()
}

// Get answers q from the store, or by a fetch that all concurrent requests for
// the key share. ctx bounds this client's wait alone. The error is the
// Fetcher's, ErrUnavailable, or ctx's cause.
func (c *Cache) Get(ctx context.Context, q *Query) (Answer, error) {
	uncollapsible, retried := q.uncollapsible(), false
	for {
		now := time.Now()
		s, mark, storeKey := c.lookup(q)
		verdict := policy.Decide(now, s.Policy(), mark, q.Rule, q.Request)
		switch verdict {
		case policy.Fresh:
			return c.serve(q, s, Hit, now)
		case policy.Stale:
			return c.serve(q, s, HitStale, now)
		case policy.StaleWhileRevalidate:
			c.refresh(q, storeKey)
			return c.serve(q, s, HitStale, now)
		case policy.Unavailable:
			s.Release()
			return Answer{}, ErrUnavailable
		}
		timeout, stale := time.Duration(0), false
		switch verdict {
		case policy.Validate:
			if stale = q.mayServeStaleOnError(now, s.Policy(), mark); stale {
				timeout = q.SoftTimeout
			}
		case policy.ValidateFirst:
			timeout, stale = q.Rule.Patience, true
		}
		s.Release() // the fill looks the response up itself, as it may start later
		a, err := c.admitted(ctx, q, storeKey, uncollapsible, verdict, timeout)
		if errors.Is(err, errNotShared) && !uncollapsible {
			uncollapsible = true
			continue
		}
		if err == nil || ctx.Err() != nil {
			return a, err
		}
		if a, err = c.serveStaleOnError(q, err); err == nil || !stale || retried {
			return a, err
		}
		// The soft timeout gave this fetch up for a stale response that has been
		// purged meanwhile.
		retried = true
	}
}

// Put stores the response that q's Fetcher has at hand, if it may be stored.
func (c *Cache) Put(ctx context.Context, q *Query) error {
	s, _, storeKey := c.lookup(q)
	s.Release()
	f, r, _, err := c.join(q, storeKey, true, policy.Miss)
	if err != nil {
		return err
	}
	r.Close() // without a reader, so that the fill waits for none
	return f.Wait(ctx)
}

// uncollapsible says that no other request may share the response to this one.
func (q *Query) uncollapsible() bool {
	return q.Request.Authorized || q.Request.Method == http.MethodHead
}

// storeKey is the key of the first response stored for a query. Each owner has its own.
func (q *Query) storeKey() store.Key {
	k := q.Key
	if q.Request.Owner != "" {
		k.ID += "\x00owner\x00" + q.Request.Owner
	}
	return k
}

// lookup returns the stored response that the request selects, its purge mark, and the key
// for a new response. That is the query's store key, or one derived from it by the values of
// Vary when the response stored there has other values.
func (c *Cache) lookup(q *Query) (*store.Entry, policy.Mark, store.Key) {
	storeKey := q.storeKey()
	s := c.store.Get(storeKey)
	if s != nil && !q.selects(s.Meta) {
		storeKey.ID = s.VaryKey(storeKey.ID, q.Request.Header)
		s.Release()
		if s = c.store.Get(storeKey); s != nil && !q.selects(s.Meta) {
			s.Release()
			s = nil
		}
	}
	if s == nil {
		return nil, policy.NotMarked, storeKey
	}
	if s.Version > c.versions.last.Load() {
		c.versions.saw(s.Version)
	}
	mark := policy.NotMarked
	if s.PurgeEpoch < c.purges.Newest.Load() {
		mark = c.purges.Mark(purgeKey(q.Key, s.Meta), s.PurgeEpoch)
	}
	if mark == policy.MarkedGone {
		c.store.Remove(storeKey, s.Version)
		s.Release()
		return nil, policy.NotMarked, storeKey
	}
	return s, mark, storeKey
}

// purgeKey is the key by which purges cover a stored response: a change of the group's
// metadata can bring a missing file.
func purgeKey(k store.Key, m *store.Meta) store.Key {
	k.Metadata = k.Metadata || policy.IsMissing(m.Status)
	return k
}

// serve answers from a stored response. The answer releases it.
func (c *Cache) serve(q *Query, s *store.Entry, o Outcome, now time.Time) (Answer, error) {
	part, ok := q.part(s.Meta)
	if !ok {
		s.Release()
		return Answer{}, errNoVariant
	}
	return Answer{Meta: s.Meta, Part: part, Outcome: o, TTL: s.TTL(now, q.Rule), Age: s.Age(now), Stored: s}, nil
}

// mayServeStaleOnError reports whether a stored response answers if the origin does not, so
// that the fetch has a soft timeout. A request that must validate has none: the stored
// response answers it only after the origin failed.
func (q *Query) mayServeStaleOnError(now time.Time, r *policy.Response, mark policy.Mark) bool {
	return !q.Request.Validate && policy.DecideOnError(now, r, mark, q.Rule, q.Request) == policy.StaleIfError
}

// serveStaleOnError answers from the stored response after the origin failed with err, if
// the rule allows it. For an owner without one, the shared response with status 200 answers:
// a shared refusal or 404 says nothing of the owner. A request that must validate gets no
// response whose validation was not tried.
func (c *Cache) serveStaleOnError(q *Query, err error) (Answer, error) {
	if q.Request.Validate && errors.Is(err, ErrNotAsked) {
		return Answer{}, err
	}
	now := time.Now()
	s, mark, storeKey := c.lookup(q)
	usable := policy.DecideOnError(now, s.Policy(), mark, q.Rule, q.Request) == policy.StaleIfError
	if !usable && q.Request.Owner != "" {
		s.Release()
		shared := *q
		shared.Request.Owner = ""
		q = &shared
		s, mark, storeKey = c.lookup(q)
		usable = policy.DecideOnError(now, s.Policy(), mark, q.Rule, q.Request) == policy.StaleIfError && s.Status == http.StatusOK
	}
	if !usable {
		s.Release()
		return Answer{}, err
	}
	outcome := HitError
	if errors.Is(err, ErrSoftTimeout) {
		switch policy.Decide(now, s.Policy(), mark, q.Rule, q.Request) {
		case policy.Fresh: // by now
			return c.serve(q, s, Hit, now)
		case policy.ValidateFirst: // which has no more patience
			outcome = HitStale
		}
	}
	a, serveErr := c.serve(q, s, outcome, now)
	if serveErr != nil {
		return Answer{}, err
	}
	a.Err = err
	if errors.Is(err, errCooling) {
		return a, nil
	}
	a.Forward = q.forwardReason(now, s.Policy(), mark, storeKey)
	if p := (preferStale{}); errors.As(err, &p) {
		a.ForwardStatus = p.status
	}
	return a, nil
}

// Purge puts purges in force. When it returns, no tier serves a response that they cover,
// and no fill that began before. Many at once cost little more than one.
func (c *Cache) Purge(all ...purge.Purge) error {
	err := c.Forwarded(all...)
	if forward := c.forward.Load(); forward != nil {
		return errors.Join(err, (*forward)(all...))
	}
	return err
}

// Forward has purges in force in another process as well, which has the same masters.
func (c *Cache) Forward(to func(...purge.Purge) error) { c.forward.Store(&to) }

// Forwarded is Purge for purges that another process forwards: they do not go back.
func (c *Cache) Forwarded(all ...purge.Purge) error { return c.purges.Add(all...) }

// ShrinkMemory frees n bytes of the memory tier at once, for a use outside of the cache until GrowMemory.
// It is false, and lends nothing, where the tier has not that many.
func (c *Cache) ShrinkMemory(n int64) bool { return c.memory.Shrink(n) }

// GrowMemory gives n borrowed bytes back.
func (c *Cache) GrowMemory(n int64) { c.memory.Grow(n) }

// Crashed reports whether the previous process did not close the disk tier, see
// disk.Store.Crashed.
func (c *Cache) Crashed() bool { return c.disk != nil && c.disk.Crashed() }
