package daemon

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"pkgedge/edge/config"
	"pkgedge/edge/secure"
	"pkgedge/edge/server"
	"pkgedge/tls"
)

// newCertificates makes the manager of the certificates for the encrypted listener.
func (d *Daemon) newCertificates(secure, plain *server.Listener) (*tls.Manager, error) {
	t := &d.cfg.TLS
	c := tls.Config{
		Certificate: tls.Certificate{Cert: t.Cert, Key: t.Key},
		Names:       d.cfg.CertificateNames(),
		Domains:     t.Domains, OnDemand: t.OnDemand, Challenges: d.cfg.Challenges(),
		Email: t.Email, CA: t.CA, Profile: t.Profile,
		Dir:    d.cfg.CertificatesDir(),
		Listen: secure.Addr().String(), Logger: d.log,
	}
	if v := d.fleet.Certificates(); v != nil {
		c.Shared = v
	}
	if plain != nil {
		c.Plain = plain.Addr().String()
	}
	if t.CARoot != "" {
		roots, err := tls.Roots(t.CARoot)
		if err != nil {
			return nil, fmt.Errorf("cannot read ca_root %q: %w", t.CARoot, err)
		}
		c.TrustedRoots = roots
	}
	return tls.New(c)
}

// secureOf says how clients are led to the encrypted listener.
func secureOf(cfg *config.Config) (s secure.Rules) {
	if cfg.TLS.Listen == "" {
		return s
	}
	s.Redirect = cfg.Redirects()
	if cfg.PublicURL.Scheme == "https" {
		s.Public = cfg.PublicURL
		s.Hosts = append(s.Hosts, strings.ToLower(cfg.PublicURL.Hostname()))
	}
	s.Hosts = append(s.Hosts, cfg.TLS.AllDomains()...)
	for i := range cfg.Sites {
		s.Hosts = append(s.Hosts, cfg.Sites[i].Hosts...)
	}
	slices.Sort(s.Hosts)
	s.Hosts = slices.Compact(s.Hosts)
	_, s.Port, _ = net.SplitHostPort(cfg.TLS.Listen)
	if cfg.TLS.HSTS > 0 {
		s.HSTS = "max-age=" + strconv.FormatInt(int64(cfg.TLS.HSTS/time.Second), 10)
	}
	return s
}
