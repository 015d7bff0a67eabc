package health

import (
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/origin/counted"
)

// Registry holds the masters of all sites, by pool and URL. It outlives
// configurations: the groups of an old and of a new configuration that name the
// same master share its health, its limiters and its latency. A master is
// forgotten with the last group that names it (docs/decisions/0014).
type Registry struct {
	pools counted.Values[*shared]
	hosts counted.Values[*host]
}

// shared is the common knowledge of the groups of one pool.
type shared struct {
	mu        sync.Mutex // guards each host's trust too, and the state of each group
	outages   int64      // ever
	trickles  [classes]trickle
	probeWith document
}

// host is the knowledge of one master.
type host struct {
	name       string // for logs and metrics: scheme, host and base path
	limiters   [classes]Limiter
	latency    Latency
	wake       chan struct{} // wakes the probe loop
	got        atomic.Int64  // bytes of bodies
	firstBytes histogram

	trust // guarded by shared.mu
}

func newHost(name string) *host {
	return &host{name: name, wake: make(chan struct{}, 1), trust: trust{since: time.Now()}}
}

// join has a group share the knowledge of its pool and its masters.
func (r *Registry) join(g *Group) {
	key := g.Key()
	g.shared = r.pools.Acquire(key, func() *shared { return new(shared) })
	for _, m := range g.masters {
		name := m.Base.Redacted()
		m.host = r.hosts.Acquire(key+name, func() *host { return newHost(name) })
	}
}

// leave undoes join.
func (r *Registry) leave(g *Group) {
	key := g.Key()
	for _, m := range g.masters {
		r.hosts.Release(key + m.name)
	}
	r.pools.Release(key)
}
