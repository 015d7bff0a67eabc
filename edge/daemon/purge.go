package daemon

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"pkgedge/cache/purge"
	"pkgedge/edge/admin"
)

// purger makes of an operator's words a purge of the cache.
type purger struct{ *Daemon }

// Purge puts a purge in force before it returns.
func (p purger) Purge(_ context.Context, what admin.Purge) error {
	g := p.serving()
	if what.All {
		return g.Cache.Purge(purge.Purge{Scope: purge.All, Soft: what.Soft})
	}
	if what.URL != "" {
		return g.purgeURL(what)
	}
	found := false
	for _, s := range g.Sites {
		if what.Site != "" && s.Name != what.Site {
			continue
		}
		found = true
		scope := purge.Site
		if what.Package != "" {
			scope = purge.Group
		}
		if err := g.Cache.Purge(purge.Purge{Scope: scope, Site: s.Name, Name: what.Package, Soft: what.Soft}); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%w: %q", admin.ErrUnknownSite, what.Site)
	}
	return nil
}

// purgeURL purges all variants of the response that is stored for a URL.
func (g *generation) purgeURL(what admin.Purge) error {
	u, err := url.Parse(what.URL)
	if err != nil {
		return fmt.Errorf("%w: %w", admin.ErrUnknownName, err)
	}
	for _, s := range g.Sites {
		path, ok := s.Below(u.Host, u.EscapedPath())
		if u.Host == "" && len(s.Hosts) > 0 {
			path, ok = s.Below(s.Hosts[0], u.EscapedPath())
		}
		if !ok || what.Site != "" && s.Name != what.Site {
			continue
		}
		r := s.Route(http.MethodGet, path, u.RawQuery, http.Header{})
		if !r.Class.Cacheable() {
			return fmt.Errorf("%w: %s is never stored", admin.ErrUnknownName, what.URL)
		}
		from, _ := s.Upstream(r) // a route that may be stored names one scope at most
		return g.Cache.Purge(purge.Purge{Scope: purge.Key, Site: s.Name, Name: s.Key(from, r).ID, Soft: what.Soft})
	}
	return fmt.Errorf("%w: no site serves %s", admin.ErrUnknownName, what.URL)
}
