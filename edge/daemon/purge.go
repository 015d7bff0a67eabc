package daemon

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/purge"
	"pkgedge/cache/store"
	"pkgedge/edge/admin"
	"pkgedge/edge/site"
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
	found, err := g.named(what)
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
		return k, slices.ContainsFunc(covering(k), func(u purge.Purge) bool { return found[u] })
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
		p.pop.forget(g, all)
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

// covering lists the purges that would cover a key for an operator, from the widest on.
func covering(k store.Key) []purge.Purge {
	return []purge.Purge{
		{Scope: purge.All},
		{Scope: purge.Site, Site: k.Site},
		{Scope: purge.Group, Site: k.Site, Name: k.Group},
		{Scope: purge.Key, Site: k.Site, Name: k.ID},
	}
}

// named lists the purges that an operator's words mean. A pattern means one of a group for
// each site, whose name is not a package's.
func (g *generation) named(what admin.Purge) (map[purge.Purge]bool, error) {
	if what.All {
		return map[purge.Purge]bool{{Scope: purge.All}: true}, nil
	}
	if what.URL != "" {
		u, err := g.keyOf(what)
		return map[purge.Purge]bool{u: true}, err
	}
	found := make(map[purge.Purge]bool)
	for _, s := range g.Sites {
		if what.Site != "" && s.Name != what.Site {
			continue
		}
		u := purge.Purge{Scope: purge.Site, Site: s.Name}
		if what.Package != "" {
			u.Scope, u.Name = purge.Group, what.Package
		}
		found[u] = true
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: %q", admin.ErrUnknownSite, what.Site)
	}
	return found, nil
}

// keyOf is the purge of all variants of the response that is stored for a URL.
func (g *generation) keyOf(what admin.Purge) (purge.Purge, error) {
	p, err := g.placeOf(what.Site, what.URL)
	if err != nil {
		return purge.Purge{}, err
	}
	k := p.Key()
	return purge.Purge{Scope: purge.Key, Site: k.Site, Name: k.ID}, nil
}

// placeOf finds the response of a URL. A siteName narrows it.
func (g *generation) placeOf(siteName, text string) (site.Place, error) {
	u, err := url.Parse(text)
	if err != nil {
		return site.Place{}, fmt.Errorf("%w: %w", admin.ErrUnknownName, err)
	}
	for _, s := range g.Sites {
		path, ok := below(s, u)
		if !ok || siteName != "" && s.Name != siteName {
			continue
		}
		p, ok := s.PlaceOf(path, u.RawQuery)
		if !ok {
			return site.Place{}, fmt.Errorf("%w: %s is never stored", admin.ErrUnknownName, text)
		}
		return p, nil
	}
	return site.Place{}, fmt.Errorf("%w: no site serves %s", admin.ErrUnknownName, text)
}

// below is the path of a URL below a site, which answers for its first host where the URL
// has none.
func below(s *site.Site, u *url.URL) (string, bool) {
	if u.Host == "" && len(s.Hosts) > 0 {
		return s.Below(s.Hosts[0], u.EscapedPath())
	}
	return s.Below(u.Host, u.EscapedPath())
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
