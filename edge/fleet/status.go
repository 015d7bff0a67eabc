package fleet

import (
	"net/url"

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
	return &s
}
