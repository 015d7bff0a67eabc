package proxy

import (
	"net/http"

	"pkgedge/cache"
	"pkgedge/edge/conditional"
)

// root answers for the root of a site that has an answer of its own there. Package clients get
// that; only a browser asks for HTML.
func (x *exchange) root() {
	x.header().Set("Vary", "Accept")
	if !x.welcome() {
		x.local()
	}
}

// welcome answers a browser with the page about the sites that it can reach by this host. It reports
// false for every other request.
func (x *exchange) welcome() bool {
	if !x.reads() || !conditional.AsksForHTML(x.r.Header["Accept"]) {
		return false
	}
	names := x.Sites.At(x.r.Host)
	if len(names) == 0 {
		return false
	}
	page, err := x.Welcome.Page(names)
	if err != nil {
		x.err = err
		return false
	}
	x.outcome = cache.Local
	h := x.header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", x.Welcome.Policy())
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("Vary", "Accept")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Status", "edge; detail="+cache.Local.String())
	x.write(http.StatusOK, page)
	return true
}
