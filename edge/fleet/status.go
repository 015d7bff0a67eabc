package fleet

import (
	"net/url"
	"slices"

	"pkgedge/edge/fleet/figures"
)

// Status describes the log of purges, nil for an edge alone. It asks no server.
func (f *Fleet) Status() *figures.Log {
	if f == nil {
		return nil
	}
	s := f.log.Status()
	if nc := f.connection(); nc != nil && nc.IsConnected() {
		if u, err := url.Parse(nc.ConnectedUrlRedacted()); err == nil {
			s.Server = u.Host
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for site, n := range f.follows {
		if n > 0 {
			s.Follows = append(s.Follows, site)
		}
	}
	slices.Sort(s.Follows)
	return &s
}
