package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"pkgedge/cache"
	"pkgedge/edge/site"
)

// Secure says how clients are led to the encrypted listener, and kept there. The zero Secure
// leaves them where they are.
type Secure struct {
	// Redirect has requests to the plain listener answered with the address of the
	// encrypted one.
	Redirect bool
	// Public is the https URL by which clients reach the edge, nil where there is none.
	// A request for a host that is not of Hosts is sent there, or else to the host that
	// it names.
	Public *url.URL
	Hosts  []string // lower case, without port
	Port   string   // of the encrypted listener, "" where there is none. Public may have another.
	// HSTS is the Strict-Transport-Security field of answers over TLS (RFC 6797), "" for none.
	HSTS string
}

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
	h["Location"] = []string{s.location(x.r)}
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

// location is the https URL of a request. The path is the request's, as it was written.
func (s *Secure) location(r *http.Request) string {
	host, port := site.HostOf(r.Host), s.Port
	if s.Public != nil {
		port = s.Public.Port()
		if !slices.Contains(s.Hosts, host) {
			host = s.Public.Hostname()
		}
	}
	switch {
	case port != "" && port != "443":
		host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return "https://" + host + r.URL.RequestURI()
}
