package daemon

import (
	"context"
	"time"

	"pkgedge/cache/purge"
	"pkgedge/edge/admin"
	"pkgedge/edge/fleet"
	"pkgedge/edge/fleet/figures"
	"pkgedge/edge/fleet/purgelog"
	"pkgedge/edge/report"
	"pkgedge/edge/site"
)

// openFleet opens the log of purges, once the cache is open. Nothing is read of it before the
// sites serve. An edge alone has none.
func (d *Daemon) openFleet() (err error) {
	d.fleet, err = fleet.Open(&d.cfg.Fleet, fleet.Deps{
		Dir: d.cfg.Cache.Dir, Version: d.version, Log: d.log, Apply: d.hear, Stale: d.putInDoubt,
	})
	if d.fleet != nil {
		d.feeds.Turns = d.fleet
	}
	return err
}

// startFleet has the purges of the meantime in force before the first request is answered, if the log
// can be read at once.
func (d *Daemon) startFleet(ctx context.Context) {
	d.fleet.Start()
	d.fleet.CatchUp(ctx)
}

// closeFleet leaves the log of purges. A purge that is announced from then on is not told here: after a
// takeover the successor tells it.
func (d *Daemon) closeFleet() {
	if d.fleet == nil || d.leaving.Swap(true) {
		return
	}
	if err := d.fleet.Close(); err != nil {
		d.log.Warn("the log of purges did not close cleanly", "error", err)
	}
}

// hear puts purges in force of which another edge has told. They are not announced again.
func (d *Daemon) hear(entries []purgelog.Entry) error {
	g := d.serving()
	all := make([]purge.Purge, 0, len(entries))
	for _, e := range entries {
		s, ok := g.Sites.Named(e.Site)
		if !ok || !e.Soft || s.Heard(e.Purge, e.Change) {
			all = append(all, e.Purge)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return d.cache.Purge(all...)
}

// putInDoubt makes everything stale, or all metadata: purges may be missing.
func (d *Daemon) putInDoubt(metadata bool) error {
	if !metadata {
		return d.cache.Purge(purge.Purge{Scope: purge.All, Soft: true})
	}
	var all []purge.Purge
	for _, s := range d.serving().Sites {
		all = append(all, purge.Purge{Scope: purge.SiteMetadata, Site: s.Name, Soft: true})
	}
	return d.cache.Purge(all...)
}

// announcer tells the other edges of purges, nil for an edge alone.
func (d *Daemon) announcer() site.Announce {
	if d.fleet == nil {
		return nil
	}
	return d.announce
}

func (d *Daemon) announce(change bool, all ...purge.Purge) error {
	if d.fleet == nil || d.leaving.Load() {
		return nil
	}
	if change && len(all) > 0 && !d.fleet.Follows(all[0].Site) {
		return nil // the next edge that follows the feed for all begins where the log is
	}
	return d.fleet.Announce(d.entriesOf(change, all)...)
}

// entriesOf are purges as other edges understand them. The key of a document has the edge's
// public URL in it, so that they are told of its package: of its metadata where the purge is
// soft, and of all that they have of it where it is not.
func (d *Daemon) entriesOf(change bool, all []purge.Purge) []purgelog.Entry {
	g := d.serving()
	entries := make([]purgelog.Entry, 0, len(all))
	for _, p := range all {
		if p.Scope == purge.Key && g != nil {
			if s, ok := g.Sites.Named(p.Site); ok {
				if group := s.Purged(p.Name).Group; group != "" {
					of := purge.Purge{Scope: purge.Group, Site: p.Site, Name: group, Soft: p.Soft}
					if p.Soft {
						of.Scope = purge.GroupMetadata
						entries = append(entries, purgelog.Entry{Purge: p, Change: change})
					}
					p = of
				}
			}
		}
		entries = append(entries, purgelog.Entry{Purge: p, Change: change})
	}
	return entries
}

// spread tells the other edges of an operator's purge, and says how far it has come; nil for an
// edge alone.
func (d *Daemon) spread(ctx context.Context, wait time.Duration, all []purge.Purge) (*figures.Spread, error) {
	if d.fleet == nil || d.leaving.Load() {
		return nil, nil
	}
	s, err := d.fleet.Publish(ctx, wait, d.entriesOf(false, all)...)
	return &s, err
}

// siblingsHeard are the edges of this one's pop that are heard of by the servers of the log.
type siblingsHeard struct{ *Daemon }

func (h siblingsHeard) Members() []string { return h.fleet.Members() }

// fleetStatus adds the log of purges to the status of the fleet, which is nil for an edge alone.
func (d *Daemon) fleetStatus(r *report.Fleet) *report.Fleet {
	if d.fleet == nil {
		return r
	}
	if r == nil {
		r = &report.Fleet{Name: d.cfg.Fleet.Name, Pop: d.cfg.Fleet.Pop}
	}
	r.Log, r.Edges = d.fleet.Status(), d.fleet.Edges()
	return r
}

// registerFleet registers the figures of the log of purges.
func (d *Daemon) registerFleet() {
	if d.fleet == nil {
		return
	}
	for _, g := range []struct {
		name, help string
		value      func(*figures.Log) float64
	}{
		{"edge_fleet_log_live", "1 while purges of other edges are in force here within a moment, 0 while lifetimes fall back.", func(s *figures.Log) float64 { return truth(s.Live) }},
		{"edge_fleet_log_place", "The sequence of the log of purges up to which all are in force here.", func(s *figures.Log) float64 { return float64(s.Place) }},
		{"edge_fleet_log_behind", "How far the log of purges is ahead, as far as is known.", func(s *figures.Log) float64 { return float64(s.Behind) }},
		{"edge_fleet_outbox", "Purges of this edge that the log has not acknowledged.", func(s *figures.Log) float64 { return float64(s.Outbox) }},
	} {
		d.metrics.Gauge(g.name, g.help, func() float64 { return g.value(d.fleet.Status()) })
	}
	for _, c := range []struct {
		name, help string
		value      func(*figures.Log) int64
	}{
		{"edge_fleet_purges_applied_total", "Purges of other edges that were put in force.", func(s *figures.Log) int64 { return s.Applied }},
		{"edge_fleet_purges_published_total", "Purges of this edge that the log acknowledged.", func(s *figures.Log) int64 { return s.Published }},
		{"edge_fleet_purges_repaired_total", "Purges of this edge that the log had lost, and that were published again.", func(s *figures.Log) int64 { return s.Repaired }},
		{"edge_fleet_resets_total", "Times that everything was put in doubt: another log, or one that has lost messages.", func(s *figures.Log) int64 { return s.Resets }},
	} {
		d.metrics.Counters(c.name, c.help, nil, func(emit admin.Emit) { emit(float64(c.value(d.fleet.Status()))) })
	}
	d.metrics.Gauges("edge_fleet_edges", "Edges of the fleet that are heard, and those that went away without a word.", []string{"state"}, func(emit admin.Emit) {
		away, all := 0, d.fleet.Edges()
		for _, e := range all {
			if e.Away {
				away++
			}
		}
		emit(float64(len(all)-away), "here")
		emit(float64(away), "away")
	})
}
