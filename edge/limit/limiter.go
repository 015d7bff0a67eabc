package limit

import (
	"hash/maphash"
	"math"
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// Costs of a request, in tokens.
const (
	// Hit is the cost of every request, charged on arrival. An answer from the cache
	// costs no more.
	Hit = 1
	// Miss is the whole cost of a request that a master had to answer: after
	// [Limiter.Take], charge Miss-Hit more.
	Miss = 10
)

// DefaultMaxClients is the size of the table when [Config.MaxClients] is zero:
// about 13 MiB once all slots are in use.
const DefaultMaxClients = 1 << 16

// Config gives the budget of a client.
type Config struct {
	// Rate is how many tokens a client earns each second. Zero, or anything
	// else that is not a positive finite number, turns the limit off.
	Rate float64
	// Burst is how many tokens a client can save, and so how many hits it can
	// have at once. Zero means ten seconds of Rate, and at least one Miss.
	Burst int
	// Exempt clients are never charged.
	Exempt []netip.Prefix
	// MaxClients bounds the table. Zero means [DefaultMaxClients].
	MaxClients int
}

// Limiter holds the budgets of all clients. A nil Limiter is the limit turned
// off: it allows everything. Its methods may be called concurrently.
type Limiter struct {
	rate   rate.Limit
	burst  int
	exempt []netip.Prefix
	seed   maphash.Seed // so that a client cannot aim at one shard
	shards []shard      // a power of two
}

// New returns a Limiter, or nil when cfg turns the limit off.
func New(cfg Config) *Limiter {
	if !(cfg.Rate > 0) || math.IsInf(cfg.Rate, 1) {
		return nil
	}
	l := &Limiter{
		rate:   rate.Limit(cfg.Rate),
		burst:  cfg.Burst,
		exempt: cfg.Exempt,
		seed:   maphash.MakeSeed(),
	}
	if l.burst <= 0 {
		l.burst = int(min(max(Miss, math.Ceil(10*cfg.Rate)), math.MaxInt32))
	}
	slots := cfg.MaxClients
	if slots <= 0 {
		slots = DefaultMaxClients
	}
	// Enough shards that cores seldom meet, enough slots in each that the
	// oldest of a shard is about the oldest of all.
	n := 1
	for n < 64 && slots/(2*n) >= 64 {
		n *= 2
	}
	l.shards = make([]shard, n)
	for i := range l.shards {
		l.shards[i].init(slots / n)
	}
	return l
}

// Take charges client [Hit] for a request that arrived at now. When the client
// has not that much left it charges nothing, and reports false and how long
// until it will: whole seconds, at least one and at most a day, fit for
// Retry-After (RFC 9110 §10.2.3).
func (l *Limiter) Take(client netip.Addr, now time.Time) (retryAfter time.Duration, ok bool) {
	if l == nil {
		return 0, true
	}
	client = client.Unmap()
	if within(l.exempt, client) {
		return 0, true
	}
	k := key(client)
	s := l.shard(k)

	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.let(k, now, l).budget
	if b.AllowN(now, Hit) {
		return 0, true
	}
	return wait(Hit-b.TokensAt(now), l.rate), false
}

// Charge takes cost more tokens from client, into debt if need be, for a
// request that [Limiter.Take] allowed. A cost of zero or less changes nothing.
func (l *Limiter) Charge(client netip.Addr, now time.Time, cost int) {
	if l == nil {
		return
	}
	client = client.Unmap()
	if within(l.exempt, client) {
		return
	}
	k := key(client)
	s := l.shard(k)

	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.let(k, now, l).budget
	for cost > 0 {
		n := min(cost, l.burst) // a reservation may not exceed the burst
		b.ReserveN(now, n)
		cost -= n
	}
}

func (l *Limiter) shard(k netip.Addr) *shard {
	return &l.shards[maphash.Comparable(l.seed, k)&uint64(len(l.shards)-1)]
}

// wait is how long earning tokens takes, in whole seconds.
func wait(tokens float64, per rate.Limit) time.Duration {
	const day = 24 * 60 * 60
	seconds := math.Ceil(tokens / float64(per))
	return time.Duration(min(max(seconds, 1), day)) * time.Second
}

// key returns the address that stands for a client.
func key(client netip.Addr) netip.Addr {
	if !client.Is6() {
		return client
	}
	p, err := client.Prefix(64) // also drops the zone
	if err != nil {
		return client
	}
	return p.Addr()
}

// within reports whether one of prefixes contains a, which is not mapped.
func within(prefixes []netip.Prefix, a netip.Addr) bool {
	a = a.WithZone("") // a prefix contains no address with a zone
	for _, p := range prefixes {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.Contains(a) {
			return true
		}
	}
	return false
}
