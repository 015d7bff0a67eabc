package daemon

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/purge"
	"pkgedge/cache/store"
	"pkgedge/edge/admin"
	"pkgedge/edge/operator"
)

// Bounds of a look at everything that is stored. A purge by name is in force before it, so
// that only its count suffers from the first. A pattern is in force for the packages seen within
// the second.
const (
	countLimit   = 5 * time.Second
	patternLimit = 20 * time.Second
	maxPattern   = 1 << 16 // packages that one pattern may purge; the journal has a line for each
)

// purger makes of an operator's words a purge of the cache.
type purger struct{ *Daemon }

// Purge puts a purge in force, and counts the responses it covers afterwards.
func (p purger) Purge(ctx context.Context, what admin.Purge) (admin.Purged, error) {
	g := p.serving()
	found, err := operator.Named(g.Sites, what)
	if err != nil {
		return admin.Purged{}, err
	}
	whole := true
	if what.Pattern() {
		if found, whole, err = p.matching(ctx, g, found, what); err != nil {
			return admin.Purged{}, err
		}
	}
	covers := func(siteName, id string) (store.Key, bool) {
		k := store.Key{Site: siteName, ID: id}
		if s, ok := g.Sites.Named(siteName); ok {
			k = s.Purged(id)
		}
		return k, slices.ContainsFunc(operator.Covering(k), func(u purge.Purge) bool { return found[u] })
	}
	var done admin.Purged
	p.cache.Fetching(func(siteName, id string) {
		if _, ok := covers(siteName, id); ok {
			done.Fetches++
		}
	})
	if !what.DryRun && len(found) > 0 {
		all := slices.Collect(maps.Keys(found))
		for i := range all {
			all[i].Soft = what.Soft
		}
		if err := p.cache.Purge(all...); err != nil {
			return admin.Purged{}, err
		}
		p.pop.Forget(g.Sites, all)
		if done.Fleet, err = p.spread(ctx, what.Wait, all); err != nil {
			return admin.Purged{}, fmt.Errorf("purge is in force at this edge alone: %w", err)
		}
	}
	count := p.cache.Sweep
	if what.DryRun {
		count = p.cache.Count
	}
	t := p.look(ctx, countLimit, count, covers)
	done.Whole = whole && t.Whole
	switch {
	case what.DryRun:
		done.Responses = t.Live + t.Stale
	case what.Soft:
		done.Responses = t.Stale
	default:
		done.Responses = t.Gone
	}
	return done, nil
}

// matching lists the packages of those sites that a pattern matches, stored or being
// fetched. all is false when not everything could be looked at. A fetch that begins meanwhile
// began after the purge was asked for.
func (p purger) matching(ctx context.Context, g *generation, sites map[purge.Purge]bool, what admin.Purge) (found map[purge.Purge]bool, all bool, err error) {
	found = make(map[purge.Purge]bool)
	note := func(siteName, id string) (k store.Key, _ bool) {
		s, ok := g.Sites.Named(siteName)
		if !ok || !sites[purge.Purge{Scope: purge.Group, Site: siteName, Name: what.Package}] {
			return k, false
		}
		k = s.Purged(id)
		if ok, _ := path.Match(what.Package, k.Group); ok && len(found) <= maxPattern {
			found[purge.Purge{Scope: purge.Group, Site: siteName, Name: k.Group}] = true
		}
		return k, false
	}
	p.cache.Fetching(func(siteName, id string) { note(siteName, id) })
	t := p.look(ctx, patternLimit, p.cache.Count, note)
	if len(found) > maxPattern {
		return nil, false, fmt.Errorf("%w: %s matches more than %d packages: purge the site, or name fewer", admin.ErrUnknownName, what.Package, maxPattern)
	}
	return found, t.Whole, nil
}

// look looks at everything stored, one at a time and no longer than that.
func (p purger) look(ctx context.Context, limit time.Duration, count func(context.Context, cache.Choose) cache.Tally, choose cache.Choose) cache.Tally {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case p.counting <- struct{}{}:
		defer func() { <-p.counting }()
		return count(ctx, choose)
	case <-ctx.Done():
		return cache.Tally{}
	}
}
