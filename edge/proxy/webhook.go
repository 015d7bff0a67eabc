package proxy

import (
	"net/http"

	"pkgedge/cache"
	"pkgedge/edge/changes"
	"pkgedge/origin/kind"
)

// webhook answers a registry's message of a change. It reports false for every other request. The
// request is no read: GET /hooks/npm asks for a version of the package "hooks".
func (x *exchange) webhook() bool {
	name, ok := changes.SiteOf(x.r.URL.EscapedPath())
	if !ok {
		return false
	}
	s, ok := x.Sites.Named(name)
	if !ok {
		return false
	}
	x.site, x.route = s, kind.Route{Class: kind.Local, Endpoint: "hook"}
	if x.Limiter != nil && !x.charge() {
		return true
	}
	if s.WebhookSecret == "" {
		x.refuse(cache.Refused, http.StatusNotFound, "no hook is set up here: set changes.secret")
		return true
	}
	if !x.takeMiss() { // a change costs a fetch
		return true
	}
	status, reason, err := x.Webhooks.Receive(x.w, x.r, s, s.WebhookSecret)
	x.err = err
	if status != http.StatusNoContent {
		x.refuse(cache.Refused, status, reason)
		return true
	}
	x.outcome = cache.Local
	x.header().Set("Cache-Control", "no-store")
	x.header().Set("Cache-Status", "edge; detail="+cache.Local.String())
	x.sendHeader(http.StatusNoContent)
	return true
}
