package operator

import (
	"fmt"
	"net/url"

	"pkgedge/cache/purge"
	"pkgedge/cache/store"
	"pkgedge/edge/admin"
	"pkgedge/edge/site"
)

// Covering lists the purges that would cover a key for an operator, from the widest on.
func Covering(k store.Key) []purge.Purge {
	return []purge.Purge{
		{Scope: purge.All},
		{Scope: purge.Site, Site: k.Site},
		{Scope: purge.Group, Site: k.Site, Name: k.Group},
		{Scope: purge.Key, Site: k.Site, Name: k.ID},
	}
}

// Named lists the purges that an operator's words mean. A pattern means one of a group for
// each site, whose name is not a package's.
func Named(sites site.Table, what admin.Purge) (map[purge.Purge]bool, error) {
	if what.All {
		return map[purge.Purge]bool{{Scope: purge.All}: true}, nil
	}
	if what.URL != "" {
		u, err := keyOf(sites, what)
		return map[purge.Purge]bool{u: true}, err
	}
	found := make(map[purge.Purge]bool)
	for _, s := range sites {
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
func keyOf(sites site.Table, what admin.Purge) (purge.Purge, error) {
	p, err := placeOf(sites, what.Site, what.URL)
	if err != nil {
		return purge.Purge{}, err
	}
	k := p.Key()
	return purge.Purge{Scope: purge.Key, Site: k.Site, Name: k.ID}, nil
}

// placeOf finds the response of a URL. A siteName narrows it.
func placeOf(sites site.Table, siteName, text string) (site.Place, error) {
	u, err := url.Parse(text)
	if err != nil {
		return site.Place{}, fmt.Errorf("%w: %w", admin.ErrUnknownName, err)
	}
	for _, s := range sites {
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
