package daemon

import (
	"net/netip"
	"slices"

	"pkgedge/edge/admin"
	"pkgedge/edge/config"
	"pkgedge/edge/limit"
)

// setCeilings puts the bounds of a configuration in force. Those that are over them stay.
func (d *Daemon) setCeilings(cfg *config.Config) {
	c := cfg.Concurrent()
	connections, requests := c.Connections, c.Requests
	if files := openFiles(); files > 0 {
		// A connection takes one, and a request one for a file and one for a master's connection.
		connections, requests = min(connections, files/2), min(requests, max(files/4, 64))
		if connections < c.Connections || requests < c.Requests {
			d.log.Warn("the limit of open files lowers limits.concurrent: raise it (ulimit -n, LimitNOFILE)",
				"files", files, "connections", connections, "requests", requests)
		}
	}
	exempt := cfg.Limits.Exempt
	d.server.Conns.Set(limit.Bounds{All: connections, Each: c.ClientConnections, Exempt: proxies(cfg)})
	for _, b := range []struct {
		ceiling *limit.Ceiling
		bounds  limit.Bounds
	}{
		{&d.handler.Ceilings.Heads, limit.Bounds{Each: c.ClientHeads, Exempt: proxies(cfg)}},
		{&d.handler.Ceilings.Requests, limit.Bounds{All: requests, Each: c.ClientRequests, Exempt: exempt}},
		{&d.handler.Ceilings.Bodies, limit.Bounds{Each: c.ClientBodies, Exempt: exempt}},
		{&d.handler.Ceilings.Misses, limit.Bounds{Each: c.ClientMisses, Exempt: exempt}},
	} {
		b.ceiling.Set(b.bounds)
	}
}

// proxies are the peers whose connections are of many clients, besides those without limits.
func proxies(cfg *config.Config) []netip.Prefix {
	return slices.Concat(cfg.Limits.Exempt, cfg.Limits.TrustedProxies)
}

// headCeiling is framing.Heads.
type headCeiling struct{ *limit.Ceiling }

func (h headCeiling) Enter(client netip.Addr) bool { return h.Ceiling.Enter(client) == limit.Entered }

// registerCeilings registers the metrics of things under way.
func (d *Daemon) registerCeilings() {
	conns := &d.server.Conns
	all := []struct {
		name    string
		figures func() (int, limit.Bounds, limit.Refusals)
	}{
		{"connections", func() (int, limit.Bounds, limit.Refusals) { f := conns.Figures(); return f.Open, f.Bounds, f.Refused }},
		{"requests", d.handler.Ceilings.Requests.Figures}, {"bodies", d.handler.Ceilings.Bodies.Figures},
		{"misses", d.handler.Ceilings.Misses.Figures}, {"heads", d.handler.Ceilings.Heads.Figures},
	}
	d.metrics.Gauges("edge_concurrent", "Connections of clients, requests that the fast lane does not answer, those with a body, those that wait for a fetch of something new, and heads that come in parts.",
		[]string{"of"}, func(emit admin.Emit) {
			for _, c := range all {
				n, _, _ := c.figures()
				emit(float64(n), c.name)
			}
		})
	d.metrics.Gauges("edge_concurrent_limit", "How many of them there may be, as limits.concurrent and the limit of open files have it; 0 for no bound.",
		[]string{"of", "clients"}, func(emit admin.Emit) {
			for _, c := range all {
				_, b, _ := c.figures()
				emit(float64(b.All), c.name, "all")
				emit(float64(b.Each), c.name, "each")
			}
		})
	d.metrics.Counters("edge_concurrent_refused_total", "Connections that were closed, and requests that were refused, since there were too many: of all clients, or of one.",
		[]string{"of", "clients"}, func(emit admin.Emit) {
			for _, c := range all {
				_, _, r := c.figures()
				emit(float64(r.All), c.name, "all")
				emit(float64(r.Each), c.name, "each")
			}
		})
	d.metrics.Counters("edge_connections_closed_total", "Connections that were closed for another one: idle ones, and such that had sent a part of a head.",
		[]string{"reason"}, func(emit admin.Emit) {
			f := d.server.Conns.Figures()
			emit(float64(f.IdleClosed), "idle")
			emit(float64(f.PartialClosed), "partial")
		})
}
