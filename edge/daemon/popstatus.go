package daemon

import (
	"pkgedge/edge/admin"
	"pkgedge/edge/config"
	"pkgedge/edge/gauges"
	"pkgedge/edge/report"
)

// status describes the fleet to an operator, nil for an edge alone.
func (p *pop) status(f *config.Fleet) *report.Fleet {
	if p == nil {
		return nil
	}
	r := &report.Fleet{Name: f.Name, Pop: f.Pop}
	if p.siblings != nil {
		s := p.siblings.Status()
		r.Siblings = &s
	}
	if p.store != nil {
		s := p.store.Status()
		r.Store = &s
	}
	return r
}

// register registers the figures of a pop. p may be nil: then there are none.
func (p *pop) register(m *admin.Metrics) {
	if p == nil {
		return
	}
	if p.siblings != nil {
		gauges.Siblings(m, p.siblings.Status)
	}
	if p.store != nil {
		gauges.Store(m, p.store.Status)
	}
}
