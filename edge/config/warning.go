package config

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"pkgedge/cache/budget"
	"pkgedge/edge/config/value"
	"pkgedge/tls"
)

// Warnings lists settings that are allowed, but may not be meant. Each is a line.
func (c *Config) Warnings() []string {
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && isWildcard(host) && *c.PublicURL == *followListen(c.Listen) {
		warn("public_url: tarball URLs will begin with %s, which only this machine reaches: set public_url to what clients use", c.PublicURL)
	}
	for i := range c.Sites {
		if open := c.Sites[i].open(); len(open) > 0 && !(c.TLS.Listen == "" && value.IsLoopback(c.Listen)) {
			warn("sites[%d]: whoever reaches the edge may read %s, with the edge's own credentials: keep strangers away from it", i, strings.Join(open, " and "))
		}
	}
	if c.Cache.Memory < budget.LeastMemory {
		warn("cache.memory: %s is less than the edge needs by itself, so it will take more: write %s or more", value.FormatSize(c.Cache.Memory), value.FormatSize(budget.LeastMemory))
	}
	if n := budget.Split(c.Cache.Memory).Files(); c.Cache.Disk/(256<<10) > n {
		warn("cache.disk: cache.memory (%s) has room to index %d files, which may take much less than %s: give more memory", value.FormatSize(c.Cache.Memory), n, value.FormatSize(c.Cache.Disk))
	}
	if n := budget.Split(c.Cache.Memory).Document() >> 20 << 20; n < c.Cache.MaxMetadata {
		warn("cache.max_metadata: a document of more than %s takes the process beyond cache.memory (%s) while it is prepared, one at a time: give more memory, or write less", value.FormatSize(n), value.FormatSize(c.Cache.Memory))
	}
	if len(c.TLS.AllDomains()) > 0 && c.TLS.Email == "" {
		warn("tls.email: the certificate authority has no address to warn when a certificate is not renewed: set one")
	}
	if c.Redirects() && c.PublicURL.Scheme == "http" && len(c.CertificateNames()) > 0 {
		warn("public_url: begins with http://, and each request there is redirected to https: write the https:// URL, or set tls.redirect to never")
	}
	for _, name := range c.CertificateNames() {
		if all := c.TLS.AllDomains(); len(all) > 0 && !slices.Contains(all, strings.ToLower(name)) {
			warn("tls.domains: does not list %s, which public_url tells clients to use: no handshake for it succeeds; add it, or change public_url", name)
		}
	}
	for i := range c.certificates {
		if s := &c.certificates[i]; s.Urgency(time.Now()) > tls.Well {
			warn("tls: the certificate for %s %s", s.Title(), s.Text(time.Now()))
		}
	}
	return warnings
}
