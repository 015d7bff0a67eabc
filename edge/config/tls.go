package config

import (
	"fmt"
	"net"
	"slices"
	"time"

	"pkgedge/edge/config/node"
	"pkgedge/edge/config/value"
	"pkgedge/tls"
)

// TLS is the encrypted listener: certificates for Domains by ACME, or one
// static pair. It is off when Listen is "".
type TLS struct {
	Listen  string
	Domains []string // lower case
	Email   string
	CA      string // ACME directory URL; "" for the usual one
	Cert    string // PEM file with the chain; set together with Key
	Key     string // PEM file

	OnDemand  []string  // names whose certificates are obtained when a client asks for one; lower case
	Challenge Challenge // how the CA is shown that names are ours
	Profile   string    // of the CA's certificates; "" for its usual one
	CARoot    string    // PEM file of the roots that CA's own certificate may have; "" for the system's

	Redirect Redirect      // of the plain listener's requests
	HSTS     time.Duration // for how long browsers are told to come by TLS alone; 0 tells nothing
}

// Redirect says when requests to the plain listener are sent to the encrypted one.
type Redirect string

// The choices of tls.redirect.
const (
	RedirectAuto   Redirect = "auto" // where others than this machine reach the plain listener
	RedirectAlways Redirect = "always"
	RedirectNever  Redirect = "never"
)

// Challenge says which of the CA's challenges are offered.
type Challenge string

// The choices of tls.challenge.
const (
	ChallengeAuto    Challenge = "auto" // TLS-ALPN-01, and HTTP-01 where listen has port 80
	ChallengeTLSALPN Challenge = Challenge(tls.TLSALPN)
	ChallengeHTTP    Challenge = Challenge(tls.HTTP)
)

// Challenges are those that the CA may choose from.
func (c *Config) Challenges() []tls.Challenge {
	if c.TLS.Challenge != ChallengeAuto {
		return []tls.Challenge{tls.Challenge(c.TLS.Challenge)}
	}
	if _, port, err := net.SplitHostPort(c.Listen); err == nil && (port == "80" || port == "http") {
		return []tls.Challenge{tls.TLSALPN, tls.HTTP}
	}
	return []tls.Challenge{tls.TLSALPN}
}

// AllDomains are the names that certificates are obtained for.
func (t TLS) AllDomains() []string { return slices.Concat(t.Domains, t.OnDemand) }

// Redirects reports whether requests to the plain listener are sent to the encrypted one.
func (c *Config) Redirects() bool {
	if c.Listen == "" || c.TLS.Listen == "" {
		return false
	}
	return c.TLS.Redirect == RedirectAlways || c.TLS.Redirect == RedirectAuto && !value.IsLoopback(c.Listen)
}

func (d *decoder) tls(v node.Value, t *TLS) {
	optional := func(text string) (string, error) { return text, nil }
	v.Object(node.Fields{
		"listen":  node.Into(&t.Listen, value.ParseListen),
		"domains": node.All(&t.Domains, value.ParseDomain),
		"email":   node.Into(&t.Email, optional),
		"ca": node.Into(&t.CA, func(text string) (string, error) {
			if text == "" {
				return "", nil
			}
			return value.ParseDirectory(text)
		}),
		"ca_root":   node.Into(&t.CARoot, optional),
		"on_demand": node.All(&t.OnDemand, value.ParseDomain),
		"profile":   node.Into(&t.Profile, value.ParseProfile),
		"challenge": func(v node.Value) {
			if word, ok := v.OneOf(string(ChallengeAuto), string(ChallengeTLSALPN), string(ChallengeHTTP)); ok {
				t.Challenge = Challenge(word)
			}
		},
		"redirect": func(v node.Value) {
			if word, ok := v.OneOf(string(RedirectAuto), string(RedirectAlways), string(RedirectNever)); ok {
				t.Redirect = Redirect(word)
			}
		},
		"hsts": node.Into(&t.HSTS, value.ParseDuration),
		"certificate": func(v node.Value) {
			v.Object(node.Fields{"cert": node.Into(&t.Cert, optional), "key": node.Into(&t.Key, optional)})
			if t.Cert != "" && t.Key == "" {
				d.Bad(v.Path+".key", "is missing: a certificate needs its private key")
			}
			if t.Key != "" && t.Cert == "" {
				d.Bad(v.Path+".cert", "is missing: a private key needs its certificate")
			}
		},
	})
	if t.Listen == "" && t.HSTS > 0 {
		d.Bad(v.Path+".hsts", "tells browsers to come by TLS, and there is no tls.listen: remove it, or write an address there")
	}
	pair, domains := t.Cert != "" || t.Key != "", t.AllDomains()
	switch {
	case pair && len(domains) > 0:
		d.Bad(v.Path+".certificate", "there are tls.domains too: keep the static pair or the domains, not both")
	case t.Listen == "" && (pair || len(domains) > 0):
		d.Bad(v.Path+".listen", "is empty, so no certificate would be used: write an address such as :443")
	case t.Listen != "" && !pair && len(domains) == 0 && !d.Given(v.Path+".domains[0]") && !d.Given(v.Path+".on_demand[0]"):
		d.Bad(v.Path+".listen", "there is no certificate to serve: set tls.domains or tls.certificate")
	}
	for i, name := range t.OnDemand {
		if slices.Contains(t.Domains, name) {
			d.Bad(fmt.Sprintf("%s.on_demand[%d]", v.Path, i), "%s is in tls.domains, too: keep one of them", name)
		}
	}
	if domains == nil && (t.Challenge != ChallengeAuto || t.Profile != "" || t.CARoot != "") {
		d.Bad(v.Path+".domains", "is empty, and challenge, profile and ca_root are for certificates that are obtained: list names, or remove the others")
	}
}

// checkCertificates tries the files of certificates.
func (d *decoder) checkCertificates(cfg *Config) {
	if cfg.TLS.Cert != "" && cfg.TLS.Key != "" {
		d.checkPair(cfg)
		return
	}
	if t := &cfg.TLS; t.CARoot != "" {
		if _, err := tls.Roots(t.CARoot); err != nil {
			d.Bad("tls.ca_root", "%s: %v; name a PEM file with the certificates that the authority's own may be signed by", t.CARoot, err)
		}
	}
	stored, err := tls.Stored(cfg.CertificatesDir(), cfg.TLS.CA, cfg.TLS.AllDomains())
	if err != nil {
		d.Bad("tls.domains", "%v; choose a directory that this user may read, or delete the file: another certificate is obtained", err)
	}
	cfg.certificates = stored
}

// checkPair tries the static pair.
func (d *decoder) checkPair(cfg *Config) {
	t := cfg.TLS
	readable := true
	for _, f := range []struct{ key, name string }{{"cert", t.Cert}, {"key", t.Key}} {
		if _, err := value.ReadFile(f.name); err != nil {
			d.Bad("tls.certificate."+f.key, "%s: %v", f.name, err)
			readable = false
		}
	}
	if !readable {
		return
	}
	pair, err := tls.Load(tls.Certificate{Cert: t.Cert, Key: t.Key})
	if err != nil {
		d.Bad("tls.certificate", "%s and %s are not a pair: %v", t.Cert, t.Key, err)
		return
	}
	if cfg.PublicURL != nil { // else that is a problem of its own
		for _, fault := range pair.Faults(cfg.CertificateNames(), time.Now()) {
			d.Bad("tls.certificate.cert", "%s %s", t.Cert, fault)
		}
	}
	cfg.certificates = []tls.Status{pair.Status()}
}
