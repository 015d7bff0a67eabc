package daemon

import (
	"net/netip"
	"slices"

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
