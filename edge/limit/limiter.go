package limit

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Costs of a request, in tokens. docs/operations.md has the table of which request costs
// which.
const (
	// Hit is the cost of every request, charged on arrival. An answer out of the cache, and
	// one that another request's fetch brings, costs no more.
	Hit = 1
	// Miss is the whole cost of a request to a master whose answer is not stored.
	Miss = 10
	// Absent is the whole cost of a name that does not exist in a registry, or that it refuses.
	Absent = 20
	// Fetched is how many bytes of a response that had to be fetched cost one token.
	Fetched = 256 << 10
)

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
}

// Limiter holds the budgets of all clients. A nil Limiter is the limit turned
// off: it allows everything. Its methods may be called concurrently.
type Limiter struct {
	rate   float64
	burst  int
	exempt []netip.Prefix
	seed   maphash.Seed
	shards *[shards]shard
}

// The table has rows × shards × cells cells.
const (
	shards = 1 << shardBits
	cells  = 1 << cellBits
	rows   = 4

	shardBits = 6
	cellBits  = 10
)

// shard is one part of the table.
type shard struct {
	mu sync.Mutex
	// tokens are the cells, nil for those of which nobody has taken any.
	tokens [rows][cells]*rate.Limiter
}

// New returns a Limiter, or nil when cfg turns the limit off.
func New(cfg Config) *Limiter {
	if !(cfg.Rate > 0) || math.IsInf(cfg.Rate, 1) {
		return nil
	}
	l := &Limiter{
		rate:   cfg.Rate,
		burst:  cfg.Burst,
		exempt: cfg.Exempt,
		seed:   maphash.MakeSeed(),
		shards: new([shards]shard),
	}
	if cfg.Burst <= 0 {
		l.burst = int(min(max(Miss, math.Ceil(10*cfg.Rate)), math.MaxInt32))
	}
	return l
}

// Take charges client for a request at now. When the client has not that much left it
// charges nothing, and reports false and how long until it will: whole seconds, at least one
// and at most a day, fit for Retry-After (RFC 9110 §10.2.3). A cost above Hit leaves a tenth
// of the burst to hits: a client that asks for any number of names that do not exist
// is still given stored responses. One that has spent nothing but the Hit of this request
// is never refused, however small the burst.
func (l *Limiter) Take(client netip.Addr, now time.Time, cost int) (retryAfter time.Duration, ok bool) {
	if l == nil {
		return 0, true
	}
	client = client.Unmap()
	if Within(l.exempt, client) {
		return 0, true
	}
	need := cost
	if cost > Hit {
		need = min(need+l.burst/spare, l.burst-Hit)
	}
	b := l.bucket(client, now)
	b.mu.Lock()
	defer b.mu.Unlock()
	if lacks := float64(need) - b.left(); lacks > rounding {
		return wait(lacks, l.rate), false
	}
	b.charge(cost)
	return 0, true
}

// spare is which part of the burst only hits may spend.
const spare = 10

// Budget is a client's budget at a moment, in whole tokens and seconds.
type Budget struct {
	Burst, Window int // all of it, and the time in which it fills
	Left, Full    int // of it, and the time until it is full
}

// Budget returns that of a client. It is false for one without a limit.
func (l *Limiter) Budget(client netip.Addr, now time.Time) (b Budget, ok bool) {
	client = client.Unmap()
	if l == nil || Within(l.exempt, client) {
		return b, false
	}
	at := l.bucket(client, now)
	at.mu.Lock()
	left := at.left()
	at.mu.Unlock()
	seconds := func(tokens float64) int { return int(math.Ceil(tokens/l.rate - rounding)) }
	return Budget{l.burst, seconds(float64(l.burst)), int(max(left, 0) + rounding), seconds(float64(l.burst) - left)}, true
}

// rounding is how many tokens sums of floating-point numbers may be wrong by.
const rounding = 1e-3

// Charge takes cost tokens from client, into debt if need be, for a request that
// [Limiter.Take] allowed. A cost below zero gives back. A debt is a burst at most, so that one large
// file bars its client for no longer than two bursts take to fill.
func (l *Limiter) Charge(client netip.Addr, now time.Time, cost int) {
	if l == nil || cost == 0 {
		return
	}
	client = client.Unmap()
	if Within(l.exempt, client) {
		return
	}
	b := l.bucket(client, now)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.charge(cost)
}

// bucket is a client's budget at a moment: its cells. Its methods are called with the
// shard's mu held.
type bucket struct {
	*shard
	*Limiter
	at  [rows]uint16
	now time.Time
}

func (l *Limiter) bucket(client netip.Addr, now time.Time) bucket {
	h := maphash.Comparable(l.seed, ClientOf(client))
	b := bucket{shard: &l.shards[h%shards], Limiter: l, now: now}
	h >>= shardBits
	for r := range b.at {
		b.at[r] = uint16(h % cells)
		h >>= cellBits
	}
	return b
}

// left is how many tokens the fullest of the cells has. Others have taken of the rest.
func (b *bucket) left() float64 {
	most := math.Inf(-1)
	for r, c := range b.at {
		cell := b.tokens[r][c]
		if cell == nil {
			return float64(b.burst)
		}
		most = max(most, cell.TokensAt(b.now))
	}
	return most
}

// charge takes cost from each cell, until it is in debt by a burst. A cost below zero fills
// them again.
func (b *bucket) charge(cost int) {
	for r, c := range b.at {
		cell := b.tokens[r][c]
		if cell == nil {
			cell = rate.NewLimiter(rate.Limit(b.rate), b.burst)
			b.tokens[r][c] = cell
		}
		n := min(cost, b.burst+int(cell.TokensAt(b.now)))
		for ; n > b.burst; n -= b.burst { // a Limiter gives no more at once
			cell.ReserveN(b.now, b.burst)
		}
		cell.ReserveN(b.now, n)
	}
}

// wait is how long earning tokens takes, in whole seconds.
func wait(tokens, rate float64) time.Duration {
	const day = 24 * 60 * 60
	seconds := math.Ceil((tokens - rounding) / rate)
	return time.Duration(min(max(seconds, 1), day)) * time.Second
}

// Within reports whether one of prefixes contains a, which is not mapped.
func Within(prefixes []netip.Prefix, a netip.Addr) bool {
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
