package cache

import (
	"context"
	"strings"

	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// Choose says of a stored response by which key purges cover it, and whether it is one of
// those that are looked for. id is the one of its query: responses of one owner, and of other
// Vary values, have that of the query that they answer.
type Choose func(site, id string) (k store.Key, ok bool)

// Tally counts stored responses. Whole is false when the context ended before everything was
// looked at: then there may be more.
type Tally struct {
	Live  int // neither of those
	Stale int // covered by a soft purge
	Gone  int // covered by a hard one
	Whole bool
}

// Count looks at everything that is stored, and counts the chosen responses. A purge needs
// none of this: it is in force without a search. It reads the head of every file on disk, so
// that it is for operators, one at a time.
func (c *Cache) Count(ctx context.Context, choose Choose) Tally {
	return c.tally(ctx, choose, func(store.Key, uint64) {})
}

// Sweep counts as Count does, and removes the chosen responses that are gone. They would
// otherwise keep their room until a look-up meets them.
func (c *Cache) Sweep(ctx context.Context, choose Choose) Tally {
	return c.tally(ctx, choose, c.store.Remove)
}

// tally calls gone with the key and version of each chosen response that is gone.
func (c *Cache) tally(ctx context.Context, choose Choose, gone func(store.Key, uint64)) Tally {
	var t Tally
	if !c.acquire() { // the tiers are closed after the work under way
		return t
	}
	defer c.wg.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.base, cancel)()
	visit := func(m *store.Meta) {
		k, ok := choose(m.Site, queryID(m.Key))
		if !ok {
			return
		}
		switch c.purges.Mark(k, m.PurgeEpoch) {
		case policy.MarkedGone:
			t.Gone++
			gone(store.Key{Site: m.Site, ID: m.Key}, m.Version)
		case policy.MarkedStale:
			t.Stale++
		default:
			t.Live++
		}
	}
	// The disk may have evicted a file that memory still answers with.
	seen := make(map[store.Sum]bool)
	c.memory.Each(func(sum store.Sum, m *store.Meta) {
		seen[sum] = true
		visit(m)
	})
	t.Whole = c.disk == nil || c.disk.Each(ctx, func(sum store.Sum, m *store.Meta) {
		if !seen[sum] {
			visit(m)
		}
	})
	return t
}

// Fetching calls each with the keys whose responses are being fetched now.
func (c *Cache) Fetching(each func(site, id string)) {
	for i := range c.flights.shards {
		for _, k := range c.flights.shards[i].keys() {
			each(k.Site, queryID(k.ID))
		}
	}
}

// queryID is the ID of the query that a response with this ID answers, see storeKey and
// policy.Response.VaryKey.
func queryID(id string) string {
	id, _, _ = strings.Cut(id, "\x00")
	return id
}
