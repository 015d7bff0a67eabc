package proxy

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"pkgedge/cache"
	"pkgedge/edge/accesslog"
	"pkgedge/edge/fastlane"
	"pkgedge/edge/framing"
	"pkgedge/edge/limit"
	"pkgedge/edge/site"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// Lane repeats answers to requests that do not come here any more.
type Lane interface {
	// Knows reports whether the lane has the answer of that key, good at now.
	Knows(key string, now time.Time) bool
	// Offer gives it one.
	Offer(*fastlane.Offer)
}

// offer offers a hit to the lane that hangs on nothing but the request's key, the
// stored response and the snapshot.
func (x *exchange) offer(q *cache.Query, a *cache.Answer) {
	if a.Status != http.StatusOK || a.Part.Size > fastlane.MaxBody ||
		x.route.Class == kind.File && x.site.MinimumAge > 0 { // a release comes of age, or is withdrawn
		return
	}
	if x.Secure.Redirect && x.r.TLS == nil {
		return // a trusted proxy has it from TLS: others are sent there
	}
	key := fastlane.KeyOf(x.r)
	if key == "" || x.Lane.Knows(key, x.start) {
		return
	}
	stored := x.Cache.Repeat(q, a)
	if stored == nil {
		return
	}
	h := x.header().Clone()
	h.Set("Content-Length", strconv.FormatInt(a.Part.Size, 10))
	r := &repeated{
		Snapshot: x.Snapshot, handler: x.handler, site: x.site, upstream: x.upstream, route: x.route, name: nameOf(&x.route),
		stored: stored, feed: x.site.FeedLifetime(x.upstream, x.route),
		told: !x.site.Kind.Transparent && strings.Contains(h.Get("Cache-Control"), "max-age="),
	}
	if x.Access != nil {
		rec := accesslog.Record{Site: x.site.Name, Outcome: cache.Hit.String(), Line: lineOf(x.r, &x.route)}
		rec.Line.Protocol = "HTTP/1.1"
		r.line = x.Access.Know(&rec)
	}
	x.Lane.Offer(&fastlane.Offer{Key: key, Header: h, Figures: r.figures(a), Steered: x.site.Kind.Transparent, Lookup: r})
}

// repeated is an answer that the lane repeats: its fastlane.Lookup.
type repeated struct {
	*Snapshot
	handler  *Handler
	site     *site.Site
	upstream *site.Upstream
	route    kind.Route
	name     string // see nameOf
	stored   *cache.Repeat
	feed     time.Duration    // the lifetime that the feed gave the response
	told     bool             // clients are told a lifetime of the edge's
	line     *accesslog.Known // nil where there is no log
}

// Find implements fastlane.Lookup.
func (r *repeated) Find(now time.Time) (body framing.Body, f fastlane.Figures, ok bool) {
	if r.handler.current.Load() != r.Snapshot || r.site.FeedLifetime(r.upstream, r.route) != r.feed {
		return body, f, false
	}
	found, ok := r.stored.Get(now)
	if !ok {
		return body, f, false
	}
	if body.Bytes = found.Body; found.File != nil {
		body.File, body.Offset = found.File.InFile(found.Part.Offset)
		body.Length, body.Cached, body.Open = found.Part.Size, found.Recent, found.File
	}
	return body, r.figures(&cache.Answer{Meta: found.Meta, TTL: found.TTL, Age: found.Age}), true
}

func (r *repeated) figures(a *cache.Answer) fastlane.Figures {
	f := fastlane.Figures{Age: a.Age, TTL: a.TTL, Life: fastlane.NoLife}
	if r.told {
		f.Life, _ = r.site.ClientLifetime(r.route, a)
	}
	return f
}

// Begin implements fastlane.Lookup.
func (r *repeated) Begin(q *fastlane.Request, now time.Time) (client netip.Addr, ok bool) {
	client = q.Peer
	if len(q.Forwarded) > 0 && len(r.Trusted) > 0 {
		client = limit.ClientAddr(client, []string{string(q.Forwarded)}, r.Trusted)
	}
	if r.Limiter != nil {
		if _, ok := r.Limiter.Take(client, now, limit.Hit); !ok {
			return client, false
		}
	}
	r.Metrics.Begin()
	return client, true
}

// End implements fastlane.Lookup.
func (r *repeated) End(q *fastlane.Request, client netip.Addr, begun time.Time, status int, sent int64, err error) {
	if err == nil && sent > 0 {
		r.stored.Sent(begun)
	}
	rec := accesslog.Record{Begun: begun, Client: client, Site: r.site.Name, Status: status, Sent: sent, Err: err}
	if r.Access != nil {
		rec.Known, rec.Agent, rec.ID, rec.TLS = r.line, q.Agent, requestID(q.ID), tlsVersion(q.TLS)
		if len(q.Trace) > 0 {
			rec.Trace = string(origin.TraceID(q.Trace))
		}
	}
	r.finish(&rec, r.name, cache.Hit)
}
