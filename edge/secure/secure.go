package secure

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"pkgedge/edge/site"
)

// Rules say how clients are led to the encrypted listener, and kept there. The zero Rules
// leave them where they are.
type Rules struct {
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

// Location is the https URL of a request. The path is the request's, as it was written.
func (s *Rules) Location(r *http.Request) string {
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
