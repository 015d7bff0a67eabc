package site

import (
	"time"

	"pkgedge/cache"
	"pkgedge/cache/policy"
	"pkgedge/edge/config"
	"pkgedge/origin/kind"
)

// rules are the lifetimes that the configuration gives to metadata and to files.
func rules(s *config.Site) (metadata, files policy.Rule) {
	rule := policy.Rule{
		Missing: policy.AtMost(s.Fresh.Missing),
		Grace:   policy.Window{Default: s.Stale.WhileRevalidate},
		Keep:    policy.Window{Default: s.Stale.IfError},
	}
	if s.Stale.Override {
		rule.Grace.Min, rule.Keep.Min = rule.Grace.Default, rule.Keep.Default
	}
	moving, lasting := orStated, orStated
	if s.Kind.OneLifetime {
		moving, lasting = policy.AtMost, policy.Exactly
	}
	if s.Fresh.Override {
		moving, lasting = policy.Exactly, policy.Exactly
	}
	return withLifetime(rule, s.Fresh.Metadata, moving), withLifetime(rule, s.Fresh.Files, lasting)
}

// orStated is the operator's lifetime for a response that states none.
func orStated(d time.Duration) policy.Clamp { return policy.Clamp{Default: d} }

// withLifetime gives a rule the lifetime of a 200, or the heuristic.
func withLifetime(rule policy.Rule, fresh time.Duration, clamp func(time.Duration) policy.Clamp) policy.Rule {
	if fresh == kind.Heuristic {
		rule.Heuristic = true
	} else {
		rule.OK = clamp(fresh)
	}
	return rule
}

// Rule is the operator's word on a route's responses. The windows in which a stale
// one may be used do not run out in an outage.
func (s *Site) Rule(u *Upstream, r kind.Route) policy.Rule {
	rule := s.files
	if r.Class == kind.Metadata || r.Moving {
		rule = s.metadata
	}
	rule.Heuristic = rule.Heuristic || r.Settles
	if down := u.Outage(r.Class, time.Now()); down > 0 {
		rule.Keep = rule.Keep.Plus(down)
	}
	return rule
}

// follows reports whether the site's feed, live or not, tells of each change of a
// route's responses.
func (s *Site) follows(u *Upstream, r kind.Route) bool {
	return s.feed != nil && s.feedFreshness > 0 && u == &s.own && r.InFeed
}

// feedLifetime is the lifetime that the feed gives a route's responses, 0 for
// none: while it is not live, the usual lifetimes hold.
func (s *Site) feedLifetime(u *Upstream, r kind.Route) time.Duration {
	if !s.follows(u, r) || !s.feed.Live() {
		return 0
	}
	return s.feedFreshness
}

// ClientLifetime is the lifetime that a client is told. It asks as often as if
// there were no feed, for the feed does not reach it: after the lifetime that the
// response had on arrival, not after the rest of it, since the feed has confirmed
// the response until now.
func (s *Site) ClientLifetime(r kind.Route, a *cache.Answer) time.Duration {
	if s.feed == nil || !r.InFeed {
		return a.TTL
	}
	return min(a.TTL, a.Response.TTL(a.ResponseTime, s.metadata))
}
