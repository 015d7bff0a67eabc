package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"pkgedge/cache"
)

const (
	strict     = "Strict-Transport-Security"
	challenges = "/.well-known/acme-challenge/" // RFC 8555 section 8.3: the authority may come by plain HTTP alone
)

// secured answers a request that belongs on the encrypted listener. Answers there tell
// browsers to stay; one from a master that says so speaks of the master's own name.
func (x *exchange) secured() bool {
	s := &x.Secure
	if x.r.TLS != nil {
		if s.HSTS != "" {
			x.header()[strict] = []string{s.HSTS}
		}
		return false
	}
	if !s.Redirect || !strings.HasPrefix(x.r.URL.Path, "/") || strings.HasPrefix(x.r.URL.Path, challenges) || x.securedBefore() {
		return false
	}
	x.outcome = cache.Local
	h := x.header()
	h["Location"] = []string{s.Location(x.r)}
	h.Set("Cache-Control", "no-store") // a mistake here is not to outlive its correction
	h.Set("Cache-Status", "edge; detail="+cache.Local.String())
	x.sendHeader(http.StatusPermanentRedirect)
	return true
}

// securedBefore reports whether a trusted proxy has the request from its client over TLS.
// It would be sent around for ever.
func (x *exchange) securedBefore() bool {
	proto := x.r.Header["X-Forwarded-Proto"]
	if len(proto) != 1 || !strings.EqualFold(strings.TrimSpace(proto[0]), "https") {
		return false
	}
	return x.fromTrusted()
}

// fromTrusted reports whether the request's peer is a proxy whose fields count.
func (x *exchange) fromTrusted() bool {
	peer, err := netip.ParseAddrPort(x.r.RemoteAddr)
	return err == nil && slices.ContainsFunc(x.Trusted, func(p netip.Prefix) bool { return p.Contains(peer.Addr().Unmap()) })
}
