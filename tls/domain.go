package tls

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/certmagic"
)

// domain has certificates obtained and renewed.
type domain struct {
	names []string
	cache *certmagic.Cache
	magic *certmagic.Config

	ctx  context.Context // ends with stop
	stop func()          // once
}

func newDomain(cfg Config) (*domain, error) {
	var faults []error
	for _, name := range cfg.Domains {
		if err := checkDomain(name); err != nil {
			faults = append(faults, err)
		}
	}
	if cfg.Dir == "" {
		faults = append(faults, errors.New("domains need a directory to keep certificates in"))
	}
	if cfg.CA != "" {
		if u, err := url.Parse(cfg.CA); err != nil || u.Scheme != "https" || u.Host == "" {
			faults = append(faults, fmt.Errorf("ca %q is not the https URL of an ACME directory", cfg.CA))
		}
	}
	host, port, err := listener(cfg.Listen)
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}

	log := zapTo(cfg.Logger)
	d := &domain{names: slices.Clone(cfg.Domains)}
	d.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return d.magic, nil },
		Logger:           log,
	})
	d.magic = certmagic.New(d.cache, certmagic.Config{
		DefaultServerName: d.names[0],
		OCSP:              certmagic.OCSPConfig{DisableStapling: true},
		Storage:           &certmagic.FileStorage{Path: cfg.Dir},
		Logger:            log,
	})
	d.magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(d.magic, certmagic.ACMEIssuer{
		CA:                   cfg.CA,
		Email:                cfg.Email,
		Agreed:               true,
		TrustedRoots:         cfg.TrustedRoots,
		DisableHTTPChallenge: true,
		ListenHost:           host,
		AltTLSALPNPort:       port,
		Logger:               log,
	})}
	var cancel context.CancelFunc
	d.ctx, cancel = context.WithCancel(context.Background())
	d.stop = sync.OnceFunc(func() {
		cancel()
		d.cache.Stop()
	})
	return d, nil
}

func (d *domain) start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(d.ctx, cancel)
	if err := d.magic.ManageAsync(ctx, d.names); err != nil {
		return fmt.Errorf("cannot manage certificates: %w", err)
	}
	return nil
}

func checkDomain(name string) error {
	switch {
	case strings.Contains(name, "*"):
		return fmt.Errorf("domain %q: a wildcard needs a DNS challenge, which is not offered: list the names", name)
	case strings.ContainsAny(name, ":/ ") || !certmagic.SubjectQualifiesForCert(name):
		return fmt.Errorf("domain %q is not a host name", name)
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return fmt.Errorf("domain %q is an address: list names", name)
	}
	return nil
}

// listener splits the address of the TLS listener. certmagic tries to listen
// there for the CA, finds it taken, and leaves the answer to us.
func listener(addr string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = net.LookupPort("tcp", service)
	}
	if err == nil && port == 0 {
		err = errors.New("the port must be fixed")
	}
	if err != nil {
		return "", 0, fmt.Errorf("cannot use %q as the address of the TLS listener: %w", addr, err)
	}
	return host, port, nil
}
