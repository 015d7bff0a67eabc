package proxy

import (
	"net/netip"
	"time"

	"pkgedge/cache"
	"pkgedge/edge/accesslog"
	"pkgedge/edge/changes"
	"pkgedge/edge/history"
	"pkgedge/edge/limit"
	"pkgedge/edge/secure"
	"pkgedge/edge/site"
)

// Snapshot is one configuration at work. It is immutable once it is used.
type Snapshot struct {
	Sites    site.Table
	Cache    *cache.Cache
	Limiter  Limiter // nil for none
	Budgets  bool    // clients are told their budgets
	Metrics  Metrics
	Asked    *history.Top // packages and files that were asked for
	Missed   *history.Top // those for which a master had to be asked
	Sent     *history.Top // the bytes of both
	Failures *history.Failures
	Welcome  Welcome
	Webhooks *changes.Webhooks
	Access   *accesslog.Log
	Lane     Lane           // nil for none
	Trusted  []netip.Prefix // peers whose X-Forwarded-For counts
	Secure   secure.Rules
	Identity string // this edge's name in Via and CDN-Loop
}

// Metrics counts requests.
type Metrics interface {
	Begin() // a request has arrived
	End()   // it has been answered
	// Observe is told of each answer: its outcome's word, its status, the bytes of its
	// body, and its time.
	Observe(site, outcome string, status int, bytes int64, took time.Duration)
}

// Welcome is the page for a browser at the root.
type Welcome interface {
	// Page is the page about the sites of those names.
	Page(sites []string) ([]byte, error)
	// Policy is its Content-Security-Policy.
	Policy() string
}

// Limiter is the budgets of clients. It never waits.
type Limiter interface {
	// Take charges a client, and nothing when it has not that much left: ok is false, and
	// retryAfter says for how long.
	Take(client netip.Addr, now time.Time, cost int) (retryAfter time.Duration, ok bool)
	// Charge takes more off a client's budget, which may end up below zero, or gives back a
	// cost below zero.
	Charge(client netip.Addr, now time.Time, cost int)
	// Budget returns that of a client. It is false for one without a limit.
	Budget(client netip.Addr, now time.Time) (b limit.Budget, ok bool)
}
