package fleet

import (
	"net/url"

	"pkgedge/edge/fleet/presence"
	"pkgedge/edge/fleet/purgelog"
)

// Status is the fleet as one edge sees it.
type Status struct {
	Name    string            `json:"name"`
	Pop     string            `json:"pop,omitempty"`
	Server  string            `json:"server,omitempty"` // of NATS, "" without a connection
	Log     purgelog.Status   `json:"log"`
	Members []presence.Member `json:"members"` // this one first
}

// Status describes the fleet, nil for an edge alone. It asks no server.
func (f *Fleet) Status() *Status {
	if f == nil {
		return nil
	}
	s := &Status{Name: f.cfg.Name, Pop: f.cfg.Pop, Log: f.log.Status(), Members: f.here.Members()}
	f.mu.Lock()
	nc := f.conn
	f.mu.Unlock()
	if nc != nil && nc.IsConnected() {
		if u, err := url.Parse(nc.ConnectedUrlRedacted()); err == nil {
			s.Server = u.Host
		}
	}
	return s
}

// Away counts the edges that are silent.
func (s *Status) Away() (n int) {
	for _, m := range s.Members {
		if m.Away {
			n++
		}
	}
	return n
}
