package site

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Takes reports whether any site answers requests for a host.
func (t Table) Takes(host string) bool {
	return slices.ContainsFunc(t, func(s *Site) bool { return s.takes(host) })
}

// HostOf is the host of "host:port" or "host" as the configuration has it: in lower
// case, without brackets and without the dot of a fully qualified name. An address is
// written in its shortest form.
func HostOf(authority string) string {
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(authority, "["), "]")
	}
	if strings.Contains(host, ":") {
		if a, err := netip.ParseAddr(host); err == nil {
			return a.String()
		}
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// SameAuthority reports whether the host and port of an absolute URL are those of a
// Host field (RFC 9110 section 4.2.3). A port that is not written is the one of the
// URL's scheme, on either side: a proxy that ends TLS hides the scheme of a request.
func SameAuthority(u *url.URL, host string) bool {
	port := func(authority string) string {
		if _, p, err := net.SplitHostPort(authority); err == nil && p != "" {
			return p
		}
		if u.Scheme == "https" {
			return "443"
		}
		return "80"
	}
	return HostOf(u.Host) == HostOf(host) && port(u.Host) == port(host)
}
