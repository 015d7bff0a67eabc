package site

import (
	"errors"
	"net/http"

	"pkgedge/cache/purge"
	"pkgedge/cache/store"
	"pkgedge/origin/kind"
)

// Change is a change of a package that a registry tells of.
type Change struct {
	Package string
	Deleted bool
}

// ErrNoPackage is for a change that names no package of the site.
var ErrNoPackage = errors.New("names no package of this site")

// effect is the effect of a change on the cache and on the masters.
type effect struct {
	from  *Upstream
	key   store.Key // of the packument
	mark  kind.Invalidation
	purge purge.Purge
}

// resolve finds the stored responses that a change is about. ok is false for a name
// that the site has nothing of.
func (s *Site) resolve(c Change) (effect, bool) {
	if s.Kind.ChangePath == nil {
		return effect{}, false
	}
	r := s.Route(http.MethodGet, s.Kind.ChangePath(c.Package), "", http.Header{})
	from, ok := s.Upstream(r)
	if !ok || !r.InFeed || r.Group != c.Package {
		return effect{}, false
	}
	p := purge.Purge{Scope: purge.GroupMetadata, Site: s.Name, Name: r.Group, Soft: true}
	if c.Deleted { // with its files
		p.Scope = purge.Group
	}
	return effect{from, s.Key(from, r), kind.Invalidation{Scope: kind.GroupMetadata, Name: r.Group}, p}, true
}

// Announce tells the other edges of purges that are in force here. It returns when they are on
// disk, and waits for nobody. change says that the registry's feed told of them.
type Announce func(change bool, all ...purge.Purge) error

// tell announces purges of which this edge has heard first.
func (s *Site) tell(change bool, all ...purge.Purge) error {
	if s.announce == nil || len(all) == 0 {
		return nil
	}
	return s.announce(change, all...)
}

// Apply puts changes of a feed in force. When it returns, no older response is
// served as fresh. Other edges are told of all of them: they may have stored other packages.
func (s *Site) Apply(changes []Change) error {
	var all []purge.Purge
	for _, c := range changes {
		if e, ok := s.resolve(c); ok {
			e.from.Wrote([]kind.Invalidation{e.mark})
			all = append(all, e.purge)
		}
	}
	return errors.Join(s.cache.Purge(s.purges(changes)...), s.tell(true, all...))
}

// Heard is called for a soft purge of which another edge has told, before that is in force: the
// masters have something new, and the primary is asked first until the replicas have it. It
// reports whether the purge is needed here: a change of the feed is not where nothing is stored.
func (s *Site) Heard(p purge.Purge, change bool) (needed bool) {
	switch p.Scope {
	case purge.Group, purge.GroupMetadata:
		e, ok := s.resolve(Change{Package: p.Name, Deleted: p.Scope == purge.Group})
		if ok {
			e.from.Wrote([]kind.Invalidation{e.mark})
			return !change || p.Scope == purge.Group || s.cache.Contains(e.key)
		}
		for _, u := range s.Upstreams() {
			u.Wrote([]kind.Invalidation{{Scope: kind.GroupMetadata, Name: p.Name}})
		}
	case purge.Key:
		u, key := s.keyed(p.Name)
		u.Wrote([]kind.Invalidation{{Scope: kind.OneKey, Name: key}})
	}
	return true
}

// purges lists the purges that changes need. A packument that is neither stored
// nor being fetched needs none: a later fetch gets the new state, from the primary
// first until a replica has followed (docs/decisions/0007). A deletion is rare and
// always needs one, for files may be stored without it.
func (s *Site) purges(changes []Change) (all []purge.Purge) {
	for _, c := range changes {
		if e, ok := s.resolve(c); ok && (c.Deleted || s.cache.Contains(e.key)) {
			all = append(all, e.purge)
		}
	}
	return all
}

// ApplyPushed puts one change in force that a registry pushed. Pushes are rare, so
// that the cache is not asked whether anything is stored: responses that only one
// credential may have would not be found.
func (s *Site) ApplyPushed(c Change) error {
	e, ok := s.resolve(c)
	if !ok {
		return ErrNoPackage
	}
	e.from.Wrote([]kind.Invalidation{e.mark})
	return errors.Join(s.cache.Purge(e.purge), s.tell(false, e.purge))
}

// InvalidateMetadata makes all metadata of the site stale, at this edge alone.
func (s *Site) InvalidateMetadata() error {
	return s.cache.Purge(purge.Purge{Scope: purge.SiteMetadata, Site: s.Name, Soft: true})
}

// Reset is InvalidateMetadata at all edges: the feed cannot tell the changes.
func (s *Site) Reset() error {
	return errors.Join(s.InvalidateMetadata(), s.tell(true, purge.Purge{Scope: purge.SiteMetadata, Site: s.Name, Soft: true}))
}

// Invalidate makes the stored responses stale that a successful write at u changed.
func (s *Site) Invalidate(u *Upstream, marks []kind.Invalidation) error {
	for _, m := range marks {
		p := purge.Purge{Site: s.Name, Name: m.Name, Soft: true}
		switch m.Scope {
		case kind.GroupMetadata:
			p.Scope = purge.GroupMetadata
		case kind.GroupAll:
			p.Scope = purge.Group
		case kind.OneKey:
			p.Scope, p.Name = purge.Key, s.Key(u, kind.Route{Key: m.Name}).ID
		}
		if err := errors.Join(s.cache.Purge(p), s.tell(false, p)); err != nil {
			return err
		}
	}
	return nil
}
